import type { MnopsError } from '@mnops/core';
import { apmError } from '../codes.js';

/** Names longer than this do not come from a program that means well. */
const maxText = 65_536;

/** A field of a snapshot is not what it has to be. */
export function invalid(field: string, expected: string): MnopsError {
  return apmError('MNOPS_APM_SNAPSHOT_INVALID', `The field ${field} of the snapshot is not ${expected}.`, {
    details: { field, expected },
  });
}

/** Something else was handed in whole, such as the text that `JSON.parse` would make a snapshot of. */
function noSnapshot(value: unknown): MnopsError {
  const other = value === null ? 'null' : typeof value;
  const received = Array.isArray(value) ? 'a list' : other;
  const remedy =
    received === 'string'
      ? 'Hand in what `JSON.parse` makes of the text.'
      : 'Hand in what `exportSnapshot()` returned, as it was or through JSON.';
  return apmError('MNOPS_APM_SNAPSHOT_INVALID', `The snapshot is no object but ${received}. ${remedy}`, {
    details: { field: 'snapshot', expected: 'an object' },
    remedy,
  });
}

/** The value as an object. Only its own fields are read, so a prototype changes nothing. */
export function recordAt(value: unknown, field: string): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw field === 'snapshot' ? noSnapshot(value) : invalid(field, 'an object');
  }
  return value as Readonly<Record<string, unknown>>;
}

function own(record: Readonly<Record<string, unknown>>, key: string): unknown {
  return Object.hasOwn(record, key) ? record[key] : undefined;
}

/** A list of at most `max` values. */
export function listAt(
  record: Readonly<Record<string, unknown>>,
  key: string,
  field: string,
  max: number,
): readonly unknown[] {
  const value = own(record, key);
  if (!Array.isArray(value)) throw invalid(`${field}.${key}`, 'a list');
  if (value.length > max) throw invalid(`${field}.${key}`, `a list of at most ${max}`);
  return value;
}

/** An object inside an object. */
export function innerAt(
  record: Readonly<Record<string, unknown>>,
  key: string,
  field: string,
): Readonly<Record<string, unknown>> {
  return recordAt(own(record, key), `${field}.${key}`);
}

/** A text, not too long. */
export function textAt(record: Readonly<Record<string, unknown>>, key: string, field: string): string {
  const value = own(record, key);
  if (typeof value !== 'string' || value.length > maxText) throw invalid(`${field}.${key}`, 'a text');
  return value;
}

/** One of some texts. */
export function choiceAt<T extends string>(
  record: Readonly<Record<string, unknown>>,
  key: string,
  field: string,
  choices: readonly T[],
): T {
  const value = own(record, key);
  const found = choices.find((choice) => choice === value);
  if (found === undefined)
    throw invalid(`${field}.${key}`, choices.length === 1 ? `'${choices[0]}'` : `one of ${choices.join(', ')}`);
  return found;
}

/** A finite number from `min` on. */
export function numberAt(record: Readonly<Record<string, unknown>>, key: string, field: string, min = 0): number {
  return asNumber(own(record, key), `${field}.${key}`, min);
}

/** The value as a finite number from `min` on. */
export function asNumber(value: unknown, field: string, min = 0): number {
  if (typeof value !== 'number' || !Number.isFinite(value) || value < min) {
    throw invalid(field, min === 0 ? 'a number from 0 on' : 'a finite number');
  }
  return value;
}

/** True or false. */
export function flagAt(record: Readonly<Record<string, unknown>>, key: string, field: string): boolean {
  const value = own(record, key);
  if (typeof value !== 'boolean') throw invalid(`${field}.${key}`, 'true or false');
  return value;
}

/** Whether the object has the field. */
export function has(record: Readonly<Record<string, unknown>>, key: string): boolean {
  return own(record, key) !== undefined;
}

/** Texts by name. */
export function textsAt(
  record: Readonly<Record<string, unknown>>,
  key: string,
  field: string,
): Readonly<Record<string, string>> {
  const given = innerAt(record, key, field);
  const names = Object.keys(given);
  if (names.length > 128) throw invalid(`${field}.${key}`, 'an object of at most 128 fields');
  return Object.fromEntries(names.map((name) => [name, textAt(given, name, `${field}.${key}`)]));
}
