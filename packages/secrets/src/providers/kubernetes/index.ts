import { coreError, systemClock } from '@mnops/core';
import { clockSchema, countSchema, parseOptions, textSchema } from '@mnops/core/config';
import { type KubernetesClient, type KubernetesClientOptions, kubernetesClient } from '@mnops/core/kubernetes';
import type {
  Call,
  Clock,
  SecretCapabilities,
  SecretChange,
  SecretProvider,
  SecretPutOptions,
  SecretRecord,
  SecretSelector,
  SecretVersionRecord,
  StoredSecret,
} from '@mnops/core/spi';
import * as v from 'valibot';
import type { Mutation, PutMutation } from '../../store/mutation.js';
import { secretChanges } from './changes.js';
import { dataOfValue, foreignValue, valueOfData } from './secret-data.js';
import {
  changePointer,
  pointerOf,
  removeVersion,
  removeVersions,
  type SecretPlace,
  secretResource,
  storeVersion,
  versionData,
} from './secret-objects.js';
import { dataOfObject, isOwn, pathOfObject, roleLabel, type StoredObject, stateOf } from './secret-state.js';

/** Which namespace of which cluster keeps the secrets. */
export interface KubernetesSecretsOptions {
  /** Default: the namespace of the cluster's access. */
  readonly namespace?: string | undefined;
  /** How the cluster is reached, or a ready client, which is not closed with the provider. */
  readonly cluster: KubernetesClientOptions | KubernetesClient;
  /** Versions kept per secret; older ones that no stage points at are deleted. At least 2, at most 100. Default 10. */
  readonly maxVersions?: number | undefined;
  /** Labels for every Secret that is written, beside the provider's own. */
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly clock?: Clock | undefined;
}

const optionsSchema = v.strictObject({
  namespace: v.optional(textSchema),
  cluster: v.custom<KubernetesSecretsOptions['cluster']>(
    (value) => typeof value === 'object' && value !== null && (isClient(value) || 'access' in value),
    'options of kubernetesClient with `access`, or a client',
  ),
  maxVersions: v.optional(v.pipe(countSchema, v.minValue(2), v.maxValue(100))),
  labels: v.optional(v.record(v.string(), v.string())),
  clock: v.optional(clockSchema),
});

const id = 'kubernetes-secrets';
/** What the server takes as the sum of a Secret's values. */
const maxValueBytes = 1_048_576;

/**
 * Keeps secrets as Secrets of a Kubernetes namespace: the current value in one Secret named after the path, which Pods
 * mount as any other, and each version in an immutable Secret beside it.
 *
 * A JSON object of texts is stored field by field. Secrets that others made can be read, as JSON objects without
 * versions, and are never written.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID`
 */
export function kubernetesSecrets(options: KubernetesSecretsOptions): SecretProvider {
  parseOptions('kubernetesSecrets', optionsSchema, options);
  const { namespace, cluster, maxVersions = 10, labels = {}, clock = systemClock() } = options;
  const client = isClient(cluster) ? cluster : kubernetesClient(cluster);
  const place: SecretPlace = { client, namespace, maxVersions, labels, now: () => clock.now() };
  /** Watches that have not seen where they begin: a write of this process waits, so that none of them misses it. */
  const beginning = new Set<Promise<unknown>>();
  const settled = async (call: Call): Promise<void> => {
    call.signal.throwIfAborted();
    await Promise.allSettled([...beginning]);
    call.signal.throwIfAborted();
  };
  return {
    specVersion: 1,
    kind: 'secret-provider',
    id,
    capabilities: capabilitiesWith(maxVersions),
    async close() {
      if (!isClient(cluster)) await client.close();
    },
    get: (path, at, call) => read(place, path, at, call),
    async put(path, value, putOptions, call) {
      assertSize(path, value);
      await settled(call);
      return await put(place, path, value, putOptions, call);
    },
    async describe(path, call) {
      const object = await pointerOf(place, path, call, true);
      return object && recordOf(path, object);
    },
    async *listVersions(path, call) {
      const object = await pointerOf(place, path, call, true);
      if (object === undefined) return;
      if (isOwn(object)) yield* stateOf(path, object).store.versions(path);
      else yield foreignVersion(object);
    },
    async *list(prefix, call) {
      const labelSelector = `${roleLabel}=pointer`;
      const { items } = await client.list(secretResource, { namespace, labelSelector, metadataOnly: true }, call);
      const records = items.flatMap((object: StoredObject) => {
        const path = pathOfObject(object);
        const record = path?.startsWith(prefix) === true ? recordOf(path, object) : undefined;
        return record ?? [];
      });
      yield* records.sort((a, b) => (a.path < b.path ? -1 : 1));
    },
    async annotate(path, change, call) {
      await settled(call);
      await changed(place, path, () => ({ kind: 'annotate', path, ...change, atMs: place.now() }), call);
    },
    async setStage(path, stage, { from, to }, call) {
      await settled(call);
      await changed(place, path, ({ store }) => store.planStage(path, stage, from, to, place.now()), call);
    },
    async delete(path, { versions, permanent = false }, call) {
      await settled(call);
      await remove(place, path, versions, permanent, call);
    },
    async restore(path, { versions }, call) {
      await settled(call);
      const plan: Plan = ({ store }) => {
        store.assertExists(path, versions);
        return { kind: 'restore', path, versions, atMs: place.now() };
      };
      await changed(place, path, plan, call);
    },
    watch: (prefix, call) => watch(place, prefix, beginning, call),
  };
}

function watch(
  { client, namespace }: SecretPlace,
  prefix: string,
  beginning: Set<Promise<unknown>>,
  call: Call,
): AsyncIterable<SecretChange> {
  const selection = { namespace, labelSelector: `${roleLabel}=pointer`, metadataOnly: true };
  const { begun, changes } = secretChanges(client.watch(secretResource, selection, call), prefix);
  beginning.add(begun);
  void begun.then(() => beginning.delete(begun));
  return changes;
}

function capabilitiesWith(maxVersions: number): SecretCapabilities {
  return {
    write: true,
    list: true,
    versionIds: 'integer',
    maxVersions,
    stages: 'emulated',
    atomicPromote: 'emulated',
    compareAndSet: 'metadata',
    repeatableWrites: 'emulated',
    binary: 'native',
    keyValueMap: 'native',
    emptyValue: true,
    maxValueBytes,
    softDelete: 'version',
    serverExpiry: 'none',
    tags: 'emulated',
    annotations: true,
    batchGet: 0,
    watch: 'native',
    leases: false,
    durable: true,
    readAfterWrite: 'strong',
    serverAudit: true,
    propagationMs: 0,
  };
}

async function read(
  place: SecretPlace,
  path: string,
  at: SecretSelector,
  call: Call,
): Promise<StoredSecret | undefined> {
  const object = await pointerOf(place, path, call);
  if (object === undefined) return undefined;
  if (!isOwn(object)) return foreignSecret(object, at);
  const { store, held } = stateOf(path, object);
  const found = store.find(path, at);
  if (found === undefined) return undefined;
  const { version, createdAtMs, expiresAtMs, contentType } = found;
  const here = held === String(version);
  const data = here ? dataOfObject(object) : await versionData(place, path, version, call);
  const stages = store.stagesOf(path, version);
  return { value: valueOfData(data), version: String(version), stages, createdAtMs, expiresAtMs, contentType };
}

async function put(
  place: SecretPlace,
  path: string,
  value: Uint8Array,
  options: SecretPutOptions,
  call: Call,
): Promise<SecretVersionRecord> {
  const data = dataOfValue(value);
  let record: SecretVersionRecord | undefined;
  let written: PutMutation | undefined;
  let skip = 0;
  const giveUp = async (): Promise<void> => {
    if (written !== undefined) await removeVersion(place, path, written.version, call);
    written = undefined;
  };
  const change: Parameters<typeof changePointer>[2] = async ({ store }) => {
    for (;;) {
      const planned = store.planPut(path, options, place.now(), skip);
      if (!('kind' in planned)) {
        if (String(written?.version) !== planned.version) await giveUp();
        record = planned;
        return undefined;
      }
      // Others moved the pointer meanwhile: versions are counted in the order in which they become known, so that ours
      // may have to be a later one, or an earlier one that was taken away again.
      if (written !== undefined && written.version !== planned.version) await giveUp();
      const outcome = await storeVersion(place, planned, data, call);
      if (outcome !== 'stored') {
        skip += outcome.taken;
        continue;
      }
      written = planned;
      skip = 0;
      store.apply(planned);
      record = store.versions(path).find(({ version }) => version === String(planned.version));
      return { fresh: { version: planned.version, data } };
    }
  };
  try {
    await changePointer(place, path, change, call);
  } catch (error) {
    // A condition that does not hold stores nothing. Of any other failure it is not known whether the pointer moved.
    if (isRefusal(error)) await giveUp();
    throw error;
  }
  return record as SecretVersionRecord;
}

type Plan = (state: ReturnType<typeof stateOf>) => Mutation;

async function changed(place: SecretPlace, path: string, plan: Plan, call: Call): Promise<void> {
  const change: Parameters<typeof changePointer>[2] = async (state) => {
    state.store.assertExists(path);
    state.store.apply(plan(state));
    return {};
  };
  await changePointer(place, path, change, call);
}

async function remove(
  place: SecretPlace,
  path: string,
  versions: readonly string[] | undefined,
  permanent: boolean,
  call: Call,
): Promise<void> {
  const change: Parameters<typeof changePointer>[2] = async ({ store }) => {
    if (!store.has(path)) return undefined;
    store.apply({ kind: 'delete', path, versions, permanent, atMs: place.now() });
    return {};
  };
  await changePointer(place, path, change, call);
  if (!permanent) return;
  if (versions === undefined) await removeVersions(place, path, call);
  for (const version of versions ?? []) {
    if (/^[1-9]\d{0,14}$/.test(version)) await removeVersion(place, path, Number(version), call);
  }
}

function recordOf(path: string, object: StoredObject): SecretRecord | undefined {
  if (isOwn(object)) return stateOf(path, object).store.describe(path);
  const { version, createdAtMs } = foreignVersion(object);
  const stages = { current: version };
  return {
    path,
    version,
    stages,
    createdAtMs,
    updatedAtMs: createdAtMs,
    contentType: 'application/json',
    tags: {},
    annotations: {},
  };
}

function foreignVersion({ metadata }: StoredObject): SecretVersionRecord {
  const createdAtMs = Date.parse(metadata.creationTimestamp ?? '') || 0;
  return { version: metadata.resourceVersion ?? '', stages: ['current'], state: 'enabled', createdAtMs };
}

function foreignSecret(object: StoredObject, at: SecretSelector): StoredSecret | undefined {
  const { version, createdAtMs } = foreignVersion(object);
  if (at.version !== undefined && at.version !== version) return undefined;
  if (at.stage !== undefined && at.stage !== 'current') return undefined;
  return { ...foreignValue(object.data ?? {}), version, stages: ['current'], createdAtMs };
}

function assertSize(path: string, value: Uint8Array): void {
  if (value.length <= maxValueBytes) return;
  throw coreError('MNOPS_CORE_TOO_LARGE', `${id}: the value of ${path} is over ${maxValueBytes} bytes.`, {
    provider: id,
    details: { path, maxBytes: maxValueBytes },
  });
}

function isRefusal(error: unknown): boolean {
  const { code } = error as { readonly code?: unknown };
  return code === 'MNOPS_CORE_CONFLICT' || code === 'MNOPS_CORE_TOO_LARGE';
}

function isClient(value: object): value is KubernetesClient {
  return 'watch' in value && typeof value.watch === 'function';
}
