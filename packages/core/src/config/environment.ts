import { type Shapes, shapesAt } from './schema-walk.js';

/** Which variables of the environment hold configuration. */
export interface EnvironmentOptions {
  /** Default `process.env`. */
  readonly source?: Readonly<Record<string, string | undefined>> | undefined;
  /** Names of variables to paths, such as `{ PORT: 'server.port' }`. */
  readonly variables?: Readonly<Record<string, string>> | undefined;
  /** Every variable that begins with this: `SHOP_` makes `SHOP_SERVER__MAX_BYTES` the path `server.maxBytes`. Two underscores go down a level. */
  readonly prefix?: string | undefined;
}

/** One value from the environment. */
export interface EnvironmentValue {
  readonly variable: string;
  readonly path: readonly string[];
  readonly value: unknown;
}

/** The values that are set, each as the kind that the schema has at its path; an empty variable counts as unset. */
export function environmentValues(options: EnvironmentOptions, shapes: Shapes): readonly EnvironmentValue[] {
  const { source = process.env, variables = {}, prefix } = options;
  const paths = new Map<string, readonly string[]>();
  if (prefix !== undefined && prefix !== '') {
    for (const name of Object.keys(source)) {
      if (name.startsWith(prefix) && name.length > prefix.length)
        paths.set(name, pathOf(name.slice(prefix.length), shapes));
    }
  }
  for (const [name, path] of Object.entries(variables)) paths.set(name, path.split('.'));
  return [...paths].flatMap(([variable, path]) => {
    const text = source[variable];
    if (text === undefined || text === '') return [];
    return [{ variable, path, value: coerce(text, at(shapes, path)) }];
  });
}

function at(shapes: Shapes, path: readonly string[]): Shapes {
  return path.reduce<Shapes>((found, key) => shapesAt(found, key), shapes);
}

/** `SERVER__MAX_BYTES` as `server.maxBytes`; a key of the schema that differs only in letter case and underscores wins. */
function pathOf(name: string, shapes: Shapes): readonly string[] {
  let here = shapes;
  return name.split('__').map((part) => {
    const known = here.flatMap((shape) => Object.keys(shape.entries ?? {}));
    const plain = part.replaceAll('_', '').toLowerCase();
    const key =
      known.find((candidate) => candidate.replace(/[-_]/g, '').toLowerCase() === plain) ??
      part.toLowerCase().replace(/_+(.)/g, (_, letter: string) => letter.toUpperCase());
    here = shapesAt(here, key);
    return key;
  });
}

/** Text that does not fit stays text, and the schema says what it expected. */
function coerce(text: string, shapes: Shapes): unknown {
  const types = new Set(shapes.map((shape) => shape.type));
  if (types.has('string') || types.has('picklist') || types.has('literal')) return text;
  if (types.has('boolean') && /^(true|false)$/i.test(text)) return text.toLowerCase() === 'true';
  if (types.has('number') && /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text)) return Number(text);
  if (/^\s*[[{]/.test(text)) {
    try {
      return JSON.parse(text);
    } catch {
      return text;
    }
  }
  return text;
}
