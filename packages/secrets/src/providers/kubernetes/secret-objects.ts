import { coreError, MnopsError } from '@mnops/core';
import type { KubernetesClient } from '@mnops/core/kubernetes';
import type { Call } from '@mnops/core/spi';
import { secretsError } from '../../codes.js';
import type { PutMutation } from '../../store/mutation.js';
import type { SecretData } from './secret-data.js';
import { nameOfPath, pathLabel, versionName } from './secret-name.js';
import {
  dataOfObject,
  isOwn,
  type PointerState,
  pathHashLabel,
  pointerObject,
  roleLabel,
  type StoredObject,
  stateOf,
  tokenAnnotation,
  versionObject,
} from './secret-state.js';

/** Kind of object that everything is kept in. */
export const secretResource = { apiVersion: 'v1', plural: 'secrets', namespaced: true };

/** Times that a write begins anew because others wrote in between. */
const maxTries = 12;

/** Where the Secrets are and how they are made. */
export interface SecretPlace {
  readonly client: KubernetesClient;
  readonly namespace: string | undefined;
  readonly maxVersions: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly now: () => number;
}

/** The Secret of a path, whoever made it. */
export async function pointerOf(
  { client, namespace }: SecretPlace,
  path: string,
  call: Call,
  metadataOnly = false,
): Promise<StoredObject | undefined> {
  return await client.get(secretResource, { name: nameOfPath(path), namespace, metadataOnly }, call);
}

/** What a version holds. Its Secret is gone only where somebody took it away beside this provider. */
export async function versionData(
  { client, namespace }: SecretPlace,
  path: string,
  version: number,
  call: Call,
): Promise<SecretData> {
  const found: StoredObject | undefined = await client.get(
    secretResource,
    { name: versionName(path, version), namespace },
    call,
  );
  if (found !== undefined) return dataOfObject(found);
  const details = { path, version: String(version), state: 'destroyed' };
  throw secretsError('MNOPS_SECRETS_VERSION_UNAVAILABLE', `Version ${version} of the secret ${path} is destroyed.`, {
    details,
  });
}

/**
 * Changes a pointer as a compare-and-set on its resource version: `change` is asked again with the newer state when
 * others wrote in between. `undefined` from it ends the write with nothing done.
 */
export async function changePointer(
  place: SecretPlace,
  path: string,
  change: (
    state: PointerState,
  ) => Promise<{ readonly fresh?: { readonly version: number; readonly data: SecretData } } | undefined>,
  call: Call,
): Promise<void> {
  for (let attempt = 1; attempt <= maxTries; attempt += 1) {
    const state = stateOf(path, await ownPointer(place, path, call));
    const changed = await change(state);
    if (changed === undefined) return;
    const content = await contentOf(place, path, state, changed.fresh, call);
    const { object, dropped } = pointerObject(path, state, content, place);
    if (!(await stored(place, state, object, call))) continue;
    for (const version of dropped) await removeVersion(place, path, version, call);
    return;
  }
  throw coreError(
    'MNOPS_CORE_CONFLICT',
    `The secret ${path} was not written: others wrote it ${maxTries} times meanwhile.`,
    {
      provider: 'kubernetes-secrets',
      retryable: true,
      details: { path },
    },
  );
}

/** Stores a version under the number that was planned, or says how many numbers are taken beyond it. */
export async function storeVersion(
  place: SecretPlace,
  { path, version, token }: PutMutation,
  data: SecretData,
  call: Call,
): Promise<'stored' | { readonly taken: number }> {
  const { client, namespace, labels } = place;
  try {
    await client.create(secretResource, versionObject(path, version, data, { token, labels }), { namespace }, call);
    return 'stored';
  } catch (error) {
    if (!isConflict(error)) throw error;
  }
  // Another writer, an own try whose answer was lost, or what a process left that died before it moved the pointer.
  const others = await versionsOf(place, path, call);
  const same = others.find(({ name }) => name === versionName(path, version));
  if (same?.token === token) return 'stored';
  const highest = Math.max(version, ...others.map((other) => other.version));
  return { taken: highest - version + 1 };
}

/** Takes the Secret of one version away. Absent is success. */
export async function removeVersion(place: SecretPlace, path: string, version: number, call: Call): Promise<void> {
  const { client, namespace } = place;
  await client.delete(secretResource, { name: versionName(path, version), namespace }, {}, call);
}

/** Takes the Secrets of all versions away, also of those that no pointer knows. */
export async function removeVersions(place: SecretPlace, path: string, call: Call): Promise<void> {
  for (const { version } of await versionsOf(place, path, call)) await removeVersion(place, path, version, call);
}

async function versionsOf(
  { client, namespace }: SecretPlace,
  path: string,
  call: Call,
): Promise<readonly { readonly name: string; readonly version: number; readonly token: string | undefined }[]> {
  const labelSelector = `${roleLabel}=version,${pathHashLabel}=${pathLabel(path)}`;
  const { items } = await client.list(secretResource, { namespace, labelSelector, metadataOnly: true }, call);
  const prefix = versionName(path, 0).slice(0, -1);
  return items
    .map(({ metadata: { name, annotations } }) => ({
      name,
      version: name.startsWith(prefix) ? Number(name.slice(prefix.length)) : Number.NaN,
      token: annotations?.[tokenAnnotation],
    }))
    .filter(({ version }) => Number.isSafeInteger(version));
}

/** The pointer, if it is ours: what others made is read, never written. */
async function ownPointer(place: SecretPlace, path: string, call: Call): Promise<StoredObject | undefined> {
  const object = await pointerOf(place, path, call);
  if (object === undefined || isOwn(object)) return object;
  throw coreError(
    'MNOPS_CORE_CONFLICT',
    `The Secret ${object.metadata.name} was made by somebody else; it is not changed.`,
    {
      provider: 'kubernetes-secrets',
      details: { path, name: object.metadata.name },
      remedy: 'Choose another path, or change the Secret where it comes from.',
    },
  );
}

/** What the pointer is to hold: the current value, where there is one that can be read. */
async function contentOf(
  place: SecretPlace,
  path: string,
  state: PointerState,
  fresh: { readonly version: number; readonly data: SecretData } | undefined,
  call: Call,
): Promise<{ readonly held: string; readonly data: SecretData }> {
  const { store, held, object } = state;
  const record = store.versions(path).find(({ stages }) => stages.includes('current'));
  if (record === undefined || record.state !== 'enabled') return { held: '', data: { data: {} } };
  const { version } = record;
  if (fresh !== undefined && version === String(fresh.version)) return { held: version, data: fresh.data };
  if (version === held && object !== undefined) return { held, data: dataOfObject(object) };
  return { held: version, data: await versionData(place, path, Number(version), call) };
}

async function stored(
  { client, namespace }: SecretPlace,
  { resourceVersion }: PointerState,
  object: Parameters<KubernetesClient['replace']>[1],
  call: Call,
): Promise<boolean> {
  try {
    if (resourceVersion === undefined) await client.create(secretResource, object, { namespace }, call);
    else await client.replace(secretResource, object, { namespace }, call);
    return true;
  } catch (error) {
    // Not found: somebody deleted the pointer between the read and the write.
    if (isConflict(error) || MnopsError.is(error, 'MNOPS_CORE_NOT_FOUND')) return false;
    throw error;
  }
}

function isConflict(error: unknown): boolean {
  return MnopsError.is(error, 'MNOPS_CORE_CONFLICT');
}
