import type { ServiceIdentity } from '../spi/base.js';
import { type ConfigIssue, configError, kindOf } from './parse-options.js';

const variables = [
  ['version', 'MNOPS_VERSION'],
  ['environment', 'MNOPS_ENVIRONMENT'],
  ['instance', 'MNOPS_INSTANCE'],
  ['revision', 'MNOPS_REVISION'],
] as const;
const longestName = 255;

/**
 * Who this program is: what was given, each unset field from its variable (`MNOPS_SERVICE`, then `OTEL_SERVICE_NAME`;
 * `MNOPS_VERSION`, `MNOPS_ENVIRONMENT`, `MNOPS_INSTANCE`, `MNOPS_REVISION`). A name that nobody gave is
 * `unknown_service:node`, as OpenTelemetry says it. An empty variable counts as unset. The result is frozen.
 *
 * @param environment - Default `process.env`.
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID` for a field that is no text, empty, or over 255 characters.
 */
export function serviceIdentity(
  input: string | Partial<ServiceIdentity> | undefined,
  environment: NodeJS.ProcessEnv = process.env,
): ServiceIdentity {
  const given: Partial<ServiceIdentity> = typeof input === 'string' ? { name: input } : (input ?? {});
  const name = given.name ?? set(environment['MNOPS_SERVICE']) ?? set(environment['OTEL_SERVICE_NAME']);
  const identity: Record<string, unknown> = { name: name ?? 'unknown_service:node' };
  if (given.namespace !== undefined) identity['namespace'] = given.namespace;
  for (const [field, variable] of variables) {
    const value = given[field] ?? set(environment[variable]);
    if (value !== undefined) identity[field] = value;
  }
  const issues = Object.entries(identity).flatMap(([field, value]) => check(field, value));
  if (issues.length > 0) throw configError('service', issues);
  if (given.attributes !== undefined) identity['attributes'] = Object.freeze({ ...given.attributes });
  return Object.freeze(identity) as unknown as ServiceIdentity;
}

function set(value: string | undefined): string | undefined {
  return value === '' ? undefined : value;
}

function check(field: string, value: unknown): readonly ConfigIssue[] {
  if (typeof value === 'string' && value !== '' && value.length <= longestName) return [];
  const received = typeof value === 'string' && value !== '' ? 'a longer text' : kindOf(value);
  const expected = `text of 1 to ${longestName} characters`;
  return [{ field: `service.${field}`, expected, received, remedy: `Set \`service.${field}\` to ${expected}.` }];
}
