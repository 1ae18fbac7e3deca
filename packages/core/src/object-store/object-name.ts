import { type ConfigIssue, configError } from '../config/index.js';
import { coreError } from '../errors/core-error.js';
import { UnsupportedError } from '../errors/mnops-error.js';
import type { ObjectStore } from '../spi/object-store.js';

/** Bytes of the longest name that every store takes. */
const maxNameBytes = 1_024;

/** What a put may ask for beside its body. */
export interface PutConditions {
  readonly ifMatch?: string | undefined;
  readonly ifAbsent?: boolean | undefined;
  readonly retainUntilMs?: number | undefined;
  readonly size?: number | undefined;
}

/** Refuses what is not a name: empty, longer than 1,024 bytes of UTF-8, or with unpaired surrogates. */
export function assertObjectName(name: string): void {
  const bytes = Buffer.from(name);
  if (name !== '' && bytes.length <= maxNameBytes && bytes.toString() === name) return;
  const issue: ConfigIssue = {
    field: 'name',
    expected: `1 to ${maxNameBytes} bytes of valid UTF-8`,
    received: name === '' ? 'empty text' : bytes.length > maxNameBytes ? 'a longer name' : 'an unpaired surrogate',
    remedy: 'Choose another name.',
  };
  throw configError('object store', [issue]);
}

/** Refuses, before any I/O, what the store does not declare and what contradicts itself. */
export function assertConditions(
  store: { readonly id: string; readonly capabilities: ObjectStore['capabilities'] },
  conditions: PutConditions,
): void {
  const { ifMatch, ifAbsent, retainUntilMs } = conditions;
  const { conditionalPut, objectLock } = store.capabilities;
  const refused = (what: string): Error => {
    return new UnsupportedError(`${store.id} has no ${what}.`, { provider: store.id, operation: 'put' });
  };
  if (ifAbsent === true && conditionalPut === 'none') throw refused('conditional put');
  if (ifMatch !== undefined && conditionalPut !== 'match') throw refused('put on a matching etag');
  if (retainUntilMs !== undefined && !objectLock) throw refused('object lock');
  if (ifMatch === undefined || ifAbsent !== true) return;
  const issue = { field: 'ifMatch', expected: 'no `ifAbsent` beside it', received: 'both', remedy: 'Remove one.' };
  throw configError('put', [issue]);
}

/** The error of a condition that does not hold. */
export function conditionFailed(id: string, conditions: PutConditions): Error {
  const what = conditions.ifAbsent === true ? 'exists already' : 'is not the version that was expected';
  return coreError('MNOPS_CORE_CONFLICT', `${id}: the object ${what}; nothing was stored.`, {
    provider: id,
    operation: 'put',
  });
}

/** The error of a body that is not as long as announced. */
export function wrongSize(id: string, announced: number): Error {
  return coreError('MNOPS_CORE_CONFLICT', `${id}: the body does not have the ${announced} bytes that were announced.`, {
    provider: id,
    operation: 'put',
  });
}

/** Order of names: by their UTF-8 bytes, which differs from the order of UTF-16 units. */
export function compareNames(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
