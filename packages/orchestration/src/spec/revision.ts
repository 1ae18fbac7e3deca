import { createHash } from 'node:crypto';
import type { JsonValue, ServiceConfig } from '@mnops/core/spi';

/**
 * Name of a revision: the first 10 hexadecimal digits of the SHA-256 of the description without its number of replicas, so
 * that the same description is always the same revision and scaling is none.
 *
 * @param generation - How often the same description was restarted; from 1 on it is part of the name.
 */
export function revisionOf(service: ServiceConfig, generation = 0): string {
  const { replicas: _, ...description } = service;
  const hash = createHash('sha256')
    .update(stableJson(description as unknown as JsonValue))
    .digest('hex')
    .slice(0, 10);
  return generation === 0 ? hash : `${hash}-r${generation}`;
}

/** JSON with sorted keys and without undefined fields. */
function stableJson(value: JsonValue | undefined): string {
  if (Array.isArray(value)) return `[${value.map((item: JsonValue) => stableJson(item)).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const fields = Object.entries(value)
    .filter(([, field]) => field !== undefined)
    .sort(([left], [right]) => (left < right ? -1 : 1))
    .map(([key, field]) => `${JSON.stringify(key)}:${stableJson(field as JsonValue)}`);
  return `{${fields.join(',')}}`;
}

/** A field that differs between two descriptions. Values of the environment are not shown. */
export interface FieldChange {
  /** Path, such as `containers.0.command`. */
  readonly field: string;
  readonly from: string | undefined;
  readonly to: string | undefined;
}

/** What differs between two descriptions, field by field. */
export function changesBetween(from: ServiceConfig | undefined, to: ServiceConfig): readonly FieldChange[] {
  const before = flat(from);
  const after = flat(to);
  const fields = [...new Set([...before.keys(), ...after.keys()])].sort();
  return fields
    .filter((field) => before.get(field) !== after.get(field))
    .map((field) => ({ field, from: shown(field, before.get(field)), to: shown(field, after.get(field)) }));
}

function flat(value: unknown, path = '', into: Map<string, string> = new Map()): Map<string, string> {
  if (typeof value === 'object' && value !== null) {
    for (const [key, field] of Object.entries(value)) flat(field, path === '' ? key : `${path}.${key}`, into);
  } else if (value !== undefined) {
    into.set(path, String(value));
  }
  return into;
}

function shown(field: string, value: string | undefined): string | undefined {
  if (value === undefined || !/\.environment\./.test(field)) return value;
  return value.startsWith('secret://') ? 'a secret' : 'a value';
}
