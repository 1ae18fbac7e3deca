import type { GenericSchema, InferOutput } from 'valibot';
import { type EnvironmentOptions, environmentValues } from './environment.js';
import { deepFreeze, emptyLayers, isPlain, layOver, setAt } from './merge.js';
import { type ConfigIssue, configError, optionIssues, parseOptions } from './parse-options.js';
import { readConfigFile } from './read-file.js';
import { shapesOf } from './schema-walk.js';

/** Where a configuration comes from; later ones win over earlier ones. */
export interface LoadConfigOptions<S extends GenericSchema> {
  /** Whose configuration it is; it begins error messages. */
  readonly name: string;
  readonly schema: S;
  /** First layer. */
  readonly defaults?: Readonly<Record<string, unknown>> | undefined;
  /** Second layer: JSON (`.json`) and YAML 1.2 (`.yaml`, `.yml`) files in order, at most 4 MiB each. */
  readonly files?: readonly (string | { readonly file: string; readonly optional?: boolean | undefined })[] | undefined;
  /** Third layer. Values become what the schema expects at their path: numbers, `true` and `false`, JSON lists and objects. */
  readonly environment?: EnvironmentOptions | undefined;
  /** Last layer. */
  readonly overrides?: Readonly<Record<string, unknown>> | undefined;
}

/** A configuration and where each of its values is from. */
export interface LoadedConfig<T> {
  /** Deeply frozen. */
  readonly value: T;
  /** By path: `defaults`, `file <path>`, `environment <variable>`, `overrides`, or `schema` for what the schema filled in. */
  readonly provenance: Readonly<Record<string, string>>;
}

/**
 * Loads a configuration from its layers and checks the whole. Objects of several layers are joined, lists are replaced.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID` with every issue of every layer at once, each naming the source of the
 * value and never the value; `MNOPS_CORE_STORAGE_FAILED` when a file cannot be read.
 */
export async function loadConfig<const S extends GenericSchema>(
  options: LoadConfigOptions<S>,
): Promise<LoadedConfig<InferOutput<S>>> {
  const { name, schema, defaults, files = [], environment, overrides } = options;
  const layers = emptyLayers();
  const issues: ConfigIssue[] = [];
  if (defaults !== undefined) layOver(layers, defaults, 'defaults');
  for (const entry of files) {
    const { file, optional } = typeof entry === 'string' ? { file: entry, optional: false } : entry;
    const content = await readConfigFile(file);
    if ('data' in content) layOver(layers, content.data, `file ${file}`);
    else if ('issue' in content) issues.push(content.issue);
    else if (optional !== true) issues.push(missing(file));
  }
  if (environment !== undefined) {
    for (const { path, value, variable } of environmentValues(environment, shapesOf(schema))) {
      setAt(layers, path, value, `environment ${variable}`);
    }
  }
  if (overrides !== undefined) layOver(layers, overrides, 'overrides');
  for (const issue of optionIssues(schema, layers.value)) {
    const source = sourceOf(layers.provenance, issue.field);
    issues.push(source === undefined ? issue : { ...issue, received: `${issue.received} from ${source}` });
  }
  if (issues.length > 0) throw configError(name, issues);
  const value = deepFreeze(parseOptions(name, schema, layers.value));
  return { value, provenance: Object.freeze(provenanceOf(value, layers.provenance)) };
}

function missing(file: string): ConfigIssue {
  const remedy = 'Create it, correct its path, or give it as `{ file, optional: true }`.';
  return { field: file, expected: 'a file', received: 'nothing', remedy };
}

/** Source of the value at a path, or of the one that it is in, or of those that are in it if it is one. */
function sourceOf(provenance: ReadonlyMap<string, string>, field: string): string | undefined {
  const keys = field.split('.');
  for (let length = keys.length; length > 0; length--) {
    const source = provenance.get(keys.slice(0, length).join('.'));
    if (source !== undefined) return source;
  }
  const inside = [...provenance].filter(([path]) => path.startsWith(`${field}.`)).map(([, source]) => source);
  return new Set(inside).size === 1 ? inside[0] : undefined;
}

function provenanceOf(value: unknown, known: ReadonlyMap<string, string>): Record<string, string> {
  const found: Record<string, string> = {};
  const walk = (part: unknown, path: readonly string[]): void => {
    if (isPlain(part) && Object.keys(part).length > 0) {
      for (const [key, inner] of Object.entries(part)) walk(inner, [...path, key]);
    } else if (path.length > 0) {
      found[path.join('.')] = sourceOf(known, path.join('.')) ?? 'schema';
    }
  };
  walk(value, []);
  return found;
}
