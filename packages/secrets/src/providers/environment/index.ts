import { parseOptions } from '@mnops/core/config';
import type { SecretProvider, SecretRecord } from '@mnops/core/spi';
import * as v from 'valibot';
import { isPath } from '../../path.js';
import {
  currentRecord,
  currentValue,
  currentVersion,
  isCurrent,
  readOnlyCapabilities,
  refusedWrites,
  valueVersions,
} from '../../store/current-only.js';
import { pathOfVariable, variableOf } from './variable-name.js';

/** Which variables hold secrets. */
export interface EnvironmentOptions {
  /** Only variables whose name begins so, such as `SHOP_`; it is no part of the path. Default: all variables. */
  readonly prefix?: string | undefined;
  /** What `/` is in a name. Default `__`, so that `DB__ADMIN_PASSWORD` is `db/admin_password`; with `_`, `DB_PASSWORD` is `db/password`. */
  readonly separator?: '_' | '__' | undefined;
  /** Where variables are read, at each use. Default `process.env`. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined;
}

const optionsSchema = v.strictObject({
  prefix: v.optional(
    v.pipe(v.string(), v.regex(/^(?:[A-Za-z_][A-Za-z0-9_]*)?$/, 'letters, digits and _, no digit first')),
    '',
  ),
  separator: v.optional(v.picklist(['_', '__']), '__'),
  env: v.optional(v.custom<object>((value) => typeof value === 'object' && value !== null, 'an object of texts')),
});

/**
 * Reads secrets from environment variables. Names are made from paths so that no two paths share one: `api/key` is
 * `API__KEY`, `api-key` is `API___2DKEY`; names that no path has are not seen. A variable that is set to nothing is an
 * empty value, not an absent one.
 *
 * The version is made from the value with a key of this process: it changes with the value and tells nothing about it.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID`
 */
export function environment(options: EnvironmentOptions = {}): SecretProvider {
  const { prefix, separator } = parseOptions('environment', optionsSchema, options);
  const source = (): Readonly<Record<string, string | undefined>> => options.env ?? process.env;
  const versionOf = valueVersions();
  // The environment was given to the process when it began.
  const atMs = Math.round(performance.timeOrigin);

  function bytesAt(path: string): Uint8Array | undefined {
    const env = source();
    const name = prefix + variableOf(path, separator);
    const text = Object.hasOwn(env, name) ? env[name] : undefined;
    return text === undefined ? undefined : Buffer.from(text);
  }

  function recordAt(path: string): SecretRecord | undefined {
    const bytes = bytesAt(path);
    return bytes === undefined ? undefined : currentRecord(path, versionOf(bytes), atMs);
  }

  return {
    specVersion: 1,
    kind: 'secret-provider',
    id: 'environment',
    capabilities: { ...readOnlyCapabilities, durable: false },
    ...refusedWrites('environment', 'Set the variable where the process is started.'),
    async get(path, at, call) {
      call.signal.throwIfAborted();
      const bytes = bytesAt(path);
      if (bytes === undefined) return undefined;
      const version = versionOf(bytes);
      return isCurrent(version, at) ? currentValue(bytes, version, atMs) : undefined;
    },
    async describe(path, call) {
      call.signal.throwIfAborted();
      return recordAt(path);
    },
    async *listVersions(path, call) {
      call.signal.throwIfAborted();
      const record = recordAt(path);
      if (record !== undefined) yield* currentVersion(record);
    },
    async *list(asked, call) {
      const paths: string[] = [];
      for (const name of Object.keys(source())) {
        if (!name.startsWith(prefix)) continue;
        const path = pathOfVariable(name.slice(prefix.length), separator);
        if (path !== undefined && isPath(path) && path.startsWith(asked)) paths.push(path);
      }
      for (const path of paths.sort()) {
        call.signal.throwIfAborted();
        const record = recordAt(path);
        if (record !== undefined) yield record;
      }
    },
  };
}
