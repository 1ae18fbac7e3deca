import { type GenericSchema, is } from 'valibot';

/** The parts of valibot's schemas that a walk over them needs. */
interface SchemaParts {
  readonly type: string;
  readonly expects: string | null;
  readonly message?: unknown;
  readonly wrapped?: SchemaParts;
  readonly entries?: Readonly<Record<string, SchemaParts>>;
  readonly item?: SchemaParts;
  readonly items?: readonly SchemaParts[];
  readonly rest?: SchemaParts;
  readonly value?: SchemaParts;
  readonly options?: readonly unknown[];
}

/** One schema, or several where a union allows more than one shape. */
export type Shapes = readonly SchemaParts[];

/** A key that a strict object does not have. */
export interface UnknownKey {
  readonly path: readonly string[];
  /** Keys that the object may have. */
  readonly known: readonly string[];
}

/** The shapes that a schema allows: wrappers taken off, unions spread. */
export function shapesOf(schema: GenericSchema | SchemaParts): Shapes {
  const parts = schema as unknown as SchemaParts;
  if (parts.wrapped !== undefined) return shapesOf(parts.wrapped);
  if (
    (parts.type === 'union' || parts.type === 'variant' || parts.type === 'intersect') &&
    parts.options !== undefined
  ) {
    return parts.options.flatMap((option) => shapesOf(option as SchemaParts));
  }
  return [parts];
}

/** The shapes that a schema allows at one key or index. */
export function shapesAt(shapes: Shapes, key: string): Shapes {
  return shapes.flatMap((shape) => {
    const entry = shape.entries !== undefined && Object.hasOwn(shape.entries, key) ? shape.entries[key] : undefined;
    const part = entry ?? shape.item ?? shape.items?.[Number(key)] ?? shape.rest ?? shape.value;
    return part === undefined ? [] : shapesOf(part);
  });
}

/** Every key that no allowed shape has, at any depth. */
export function unknownKeys(shapes: Shapes, input: unknown, path: readonly string[] = []): readonly UnknownKey[] {
  if (typeof input !== 'object' || input === null || path.length > 64) return [];
  // What a check of the author's own takes, such as a provider, is nobody's options.
  if (shapes.some((shape) => shape.type === 'custom' && is(shape as unknown as GenericSchema, input))) return [];
  const objects = shapes.filter((shape) => shape.entries !== undefined);
  const strict = objects.length > 0 && objects.every((shape) => shape.type === 'strict_object');
  const open = shapes.some((shape) => shape.type === 'record' || shape.type === 'any' || shape.type === 'unknown');
  const known = objects.flatMap((shape) => Object.keys(shape.entries ?? {}));
  if (objects.length === 0 && !shapes.some((shape) => shape.item ?? shape.items ?? shape.value)) return [];
  return Object.entries(input).flatMap(([key, value]) => {
    const at = [...path, key];
    if (strict && !open && !Array.isArray(input) && !known.includes(key)) return [{ path: at, known }];
    return unknownKeys(shapesAt(shapes, key), value, at);
  });
}

/** What a path of keys must hold, in words; `undefined` when the schema does not say. */
export function expectedAt(schema: GenericSchema, path: readonly string[]): string | undefined {
  const words = shapesAlong(schema, path)
    .map((shape) => shape.expects)
    .filter((text) => text !== null && text !== 'unknown');
  return words.length === 0 ? undefined : [...new Set(words)].join(' or ');
}

/** What the author of the schema wrote about a path of keys; `undefined` when that is nothing. */
export function messageAt(schema: GenericSchema, path: readonly string[]): string | undefined {
  return shapesAlong(schema, path)
    .map((shape) => shape.message)
    .find((message) => typeof message === 'string');
}

/** The first key that each of several objects needs, at a path of keys. */
export function alternativesAt(schema: GenericSchema, path: readonly string[]): readonly string[] {
  const firsts = shapesAlong(schema, path).flatMap(({ entries = {} }) =>
    Object.keys(entries)
      .filter((key) => entries[key]?.type !== 'optional')
      .slice(0, 1),
  );
  return [...new Set(firsts)];
}

function shapesAlong(schema: GenericSchema, path: readonly string[]): Shapes {
  let shapes = shapesOf(schema);
  for (const key of path) shapes = shapesAt(shapes, key);
  return shapes;
}
