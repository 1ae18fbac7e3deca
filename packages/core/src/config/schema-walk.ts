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
  /** Name of the key that tells the options of a variant apart. */
  readonly key?: unknown;
  /** Of a schema that is made where it is needed, so that it can hold itself. */
  readonly getter?: (input: unknown) => SchemaParts;
}

/** One schema, or several where a union allows more than one shape. */
export type Shapes = readonly SchemaParts[];

/** A key that a strict object does not have, or a place of an object where something else stands. */
export interface UnknownKey {
  readonly path: readonly string[];
  /** Keys that the object may have. */
  readonly known: readonly string[];
  /** What stands in place of an object: it has no fields of its own, and so would pass as an empty one. */
  readonly misplaced?: object | undefined;
}

/** The shapes that a schema allows: wrappers taken off, unions spread, and of variants the one that the input chooses. */
export function shapesOf(schema: GenericSchema | SchemaParts, input?: unknown): Shapes {
  const parts = schema as unknown as SchemaParts;
  if (parts.wrapped !== undefined) return shapesOf(parts.wrapped, input);
  if (parts.getter !== undefined) return shapesOf(parts.getter(input), input);
  const { type, options } = parts;
  if (options === undefined || (type !== 'union' && type !== 'variant' && type !== 'intersect')) return [parts];
  const all = options as readonly SchemaParts[];
  const chosen = type === 'variant' ? all.filter((option) => isChosen(option, String(parts.key), input)) : [];
  return (chosen.length > 0 ? chosen : all).flatMap((option) => shapesOf(option, input));
}

/** Whether an input is meant for this option of a variant. A variant inside of it is one of its options. */
function isChosen(option: SchemaParts, key: string, input: unknown): boolean {
  const schema = option.entries?.[key];
  if (schema === undefined) return (option.options ?? []).some((one) => isChosen(one as SchemaParts, key, input));
  return is(schema as unknown as GenericSchema, valueAt(input, key));
}

/** The shapes that a schema allows at one key or index. */
export function shapesAt(shapes: Shapes, key: string, input?: unknown): Shapes {
  return shapes.flatMap((shape) => {
    const entry = shape.entries !== undefined && Object.hasOwn(shape.entries, key) ? shape.entries[key] : undefined;
    const part = entry ?? shape.item ?? shape.items?.[Number(key)] ?? shape.rest ?? shape.value;
    return part === undefined ? [] : shapesOf(part, input);
  });
}

function valueAt(input: unknown, key: string): unknown {
  return typeof input === 'object' && input !== null && Object.hasOwn(input, key)
    ? (input as Readonly<Record<string, unknown>>)[key]
    : undefined;
}

/** Every key that the schema does not have at its place, at any depth. */
export function unknownKeys(schema: GenericSchema, input: unknown): readonly UnknownKey[] {
  return unknownIn(shapesOf(schema, input), input, []);
}

function unknownIn(shapes: Shapes, input: unknown, path: readonly string[]): readonly UnknownKey[] {
  if (typeof input !== 'object' || input === null || path.length > 64) return [];
  // What a check of the author's own takes, such as a provider, is nobody's options.
  if (shapes.some((shape) => shape.type === 'custom' && is(shape as unknown as GenericSchema, input))) return [];
  const objects = shapes.filter((shape) => shape.entries !== undefined);
  const strict = objects.length > 0 && objects.every((shape) => shape.type === 'strict_object');
  const open = shapes.some((shape) => shape.type === 'record' || shape.type === 'any' || shape.type === 'unknown');
  const onlyObjects = objects.length > 0 && shapes.every((shape) => shape.entries !== undefined || isOfText(shape));
  if (onlyObjects && isNoOptions(input)) return [{ path, known: [], misplaced: input }];
  const known = objects.flatMap((shape) => Object.keys(shape.entries ?? {}));
  if (objects.length === 0 && !shapes.some((shape) => shape.item ?? shape.items ?? shape.value)) return [];
  return Object.entries(input).flatMap(([key, value]) => {
    const at = [...path, key];
    if (strict && !open && !Array.isArray(input) && !known.includes(key)) return [{ path: at, known }];
    return unknownIn(shapesAt(shapes, key, value), value, at);
  });
}

function isOfText({ type }: SchemaParts): boolean {
  return ['literal', 'picklist', 'string', 'boolean', 'number'].includes(type);
}

function isNoOptions(input: object): boolean {
  return [Array, Map, Set, Date, Promise].some((other) => input instanceof other);
}

/** What a path of keys must hold, in words; `undefined` when the schema does not say. */
export function expectedAt(schema: GenericSchema, path: readonly string[], input: unknown): string | undefined {
  const words = shapesAlong(schema, path, input)
    .map((shape) => shape.expects)
    .filter((text): text is string => text !== null && text !== 'unknown');
  return words.length === 0 ? undefined : inWords([...new Set(words)]);
}

/** The names that valibot gives to kinds, as people say them: `("a" | "b")` becomes `"a" or "b"`. */
export function inWords(expects: readonly string[]): string {
  const plain: Readonly<Record<string, string>> = { Object: 'an object', Array: 'a list', Date: 'a date' };
  const parts = expects.flatMap((text) =>
    // A text with quotation marks of its own may hold what parts others.
    /^[(]*("[^"|()]*"|\w+)[)]*( \| [(]*("[^"|()]*"|\w+)[)]*)*$/.test(text)
      ? text.replace(/[()]/g, '').split(' | ')
      : [text],
  );
  const words = [...new Set(parts)].filter((word) => word !== 'unknown').map((word) => plain[word] ?? word);
  const last = words.pop() ?? 'another kind of value';
  return words.length === 0 ? last : `${words.join(', ')} or ${last}`;
}

/** What the author of the schema wrote about a path of keys; `undefined` when that is nothing. */
export function messageAt(schema: GenericSchema, path: readonly string[], input: unknown): string | undefined {
  return shapesAlong(schema, path, input)
    .map((shape) => shape.message)
    .find((message) => typeof message === 'string');
}

/** The first key that each of several objects needs, at a path of keys. */
export function alternativesAt(schema: GenericSchema, path: readonly string[], input: unknown): readonly string[] {
  const firsts = shapesAlong(schema, path, input).flatMap(({ entries = {} }) =>
    Object.keys(entries)
      .filter((key) => entries[key]?.type !== 'optional')
      .slice(0, 1),
  );
  return [...new Set(firsts)];
}

function shapesAlong(schema: GenericSchema, path: readonly string[], input: unknown): Shapes {
  let shapes = shapesOf(schema, input);
  let at = input;
  for (const key of path) {
    at = valueAt(at, key);
    shapes = shapesAt(shapes, key, at);
  }
  return shapes;
}
