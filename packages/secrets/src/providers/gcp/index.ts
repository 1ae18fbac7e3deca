import { coreError, MnopsError, systemClock, UnsupportedError } from '@mnops/core';
import { clockSchema, configError, credentialSchema, parseOptions } from '@mnops/core/config';
import { type HttpClient, httpClient, isHttpClient } from '@mnops/core/http';
import type {
  Call,
  Clock,
  Credential,
  SecretCapabilities,
  SecretProvider,
  SecretPutOptions,
  SecretRecord,
  SecretStage,
  SecretVersionRecord,
} from '@mnops/core/spi';
import * as v from 'valibot';
import { emptyDocument, type GcpDocument, splitTags, tokenHash } from './gcp-document.js';
import { applicationDefault, type GcpPlace, type GcpSecret, gcpError, gcpSend, secretOf } from './gcp-request.js';
import {
  accessVersion,
  addVersion,
  changeSecret,
  changeVersion,
  createSecret,
  currentVersion,
  type GcpChange,
  readPages,
  readSecret,
  readVersion,
  readVersions,
  selectedVersion,
  unavailable,
} from './gcp-secret-calls.js';
import { idPrefixOf, pathOfId, secretIdOf } from './secret-name.js';

/** Which project's secrets, and how to sign in. */
export interface GcpSecretManagerOptions {
  /** Id or number of the project. */
  readonly project: string;
  /** Region of regional secrets, such as `europe-west3`. Default: global secrets, replicated automatically. */
  readonly location?: string | undefined;
  /**
   * OAuth access token, asked for at each request. Default: the machine's own credentials (Application Default
   * Credentials), by the optional package google-auth-library.
   */
  readonly accessToken?: Credential | undefined;
  /** Another address of the service: https, or http on loopback. */
  readonly endpoint?: string | undefined;
  /** Ready client; it is not closed with the provider. */
  readonly client?: HttpClient | undefined;
  readonly clock?: Clock | undefined;
}

const optionsSchema = v.strictObject({
  project: v.pipe(
    v.string(),
    v.regex(
      /^(?:[a-z][a-z0-9-]{4,28}[a-z0-9]|[a-z0-9.]+:[a-z][a-z0-9-]*|\d{1,20})$/,
      'the id or the number of a project',
    ),
  ),
  location: v.optional(v.pipe(v.string(), v.regex(/^[a-z]+-[a-z]+\d+$/, 'a region such as europe-west1'))),
  accessToken: v.optional(credentialSchema),
  endpoint: v.optional(v.pipe(v.string(), v.url())),
  client: v.optional(v.custom<HttpClient>(isHttpClient, 'an HttpClient')),
  clock: v.optional(clockSchema),
});

const provider = 'gcp';
const maxValueBytes = 65_536;
const maxListed = 100_000;

const capabilities: SecretCapabilities = {
  write: true,
  list: true,
  versionIds: 'integer',
  versionIdsReused: true,
  stages: 'native',
  atomicPromote: 'native',
  compareAndSet: 'metadata',
  repeatableWrites: 'emulated',
  binary: 'native',
  keyValueMap: 'none',
  emptyValue: false,
  maxValueBytes,
  softDelete: 'version',
  serverExpiry: 'none',
  tags: 'native',
  annotations: true,
  batchGet: 0,
  watch: 'none',
  leases: false,
  durable: true,
  readAfterWrite: 'by-version',
  serverAudit: true,
  propagationMs: 60_000,
};

/**
 * Secrets in Google Cloud Secret Manager (REST API v1).
 *
 * Stages are aliases of the secret; `current`, `previous` and `pending` move in one request that holds only if nobody
 * changed the secret meanwhile. `latest` is never used. Expiry, content type, tags that cannot be labels and write
 * tokens are kept in the annotation `mnops`. A soft delete disables the versions; Google has none for a whole secret. A
 * put whose answer was lost between its two requests can leave a version without a stage.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID`. Calls reject with `MNOPS_CORE_DEPENDENCY_MISSING` without
 * `accessToken` where google-auth-library is not installed, and with `MNOPS_CORE_INTEGRITY` for a value that does not
 * match its checksum.
 */
export function gcpSecretManager(options: GcpSecretManagerOptions): SecretProvider {
  const parsed = parseOptions('gcpSecretManager', optionsSchema, options);
  const { project, location, client = httpClient(), clock = systemClock() } = parsed;
  const place: GcpPlace = {
    client,
    endpoint: endpointOf(parsed),
    parent: `projects/${project}${location === undefined ? '' : `/locations/${location}`}`,
    accessToken: options.accessToken ?? applicationDefault(),
  };

  async function existing(path: string, operation: string, call: Call): Promise<GcpSecret> {
    const secret = await readSecret(place, secretIdOf(path), operation, call);
    if (secret === undefined) throw notFound(path);
    return secret;
  }

  async function assertVersion(secret: GcpSecret, path: string, version: string, call: Call): Promise<void> {
    const found = await readVersion(place, secret.id, version, 'setStage', call);
    if (found === undefined) throw notFound(path, `version ${version}`);
    if (found.state !== 'enabled') throw unavailable(path, version, found.state);
  }

  async function put(path: string, value: Uint8Array, how: SecretPutOptions, call: Call): Promise<SecretVersionRecord> {
    call.signal.throwIfAborted();
    assertValue(path, value);
    for (const stage of how.stages) assertStage(stage);
    const id = secretIdOf(path);
    let known = await readSecret(place, id, 'put', call);
    const repeated = known && versionOfToken(known, how.token);
    if (known !== undefined && repeated !== undefined) {
      const found = await readVersion(place, id, repeated, 'put', call);
      if (found !== undefined) return versionRecord(known, found);
    }
    const before = known && (await currentVersion(place, known, 'put', call));
    assertCondition(path, known, before, how);
    known ??= await createSecret(place, id, {}, call);
    known ??= await existing(path, 'put', call);
    const added = await addVersion(place, id, value, call);
    try {
      const changed = await changeSecret(
        place,
        known,
        'put',
        (now) => {
          const current = now.aliases.get('current') ?? (now.document === undefined ? before : undefined);
          assertCondition(path, now, current, how);
          return planPut(now, current, added.version, how, clock.now());
        },
        call,
      );
      return versionRecord(changed, added);
    } catch (error) {
      // Nothing points at it, and nothing will.
      if (MnopsError.is(error, 'MNOPS_CORE_CONFLICT'))
        await changeVersion(place, id, added.version, 'destroy', call).catch(() => undefined);
      throw error;
    }
  }

  async function disableAll(path: string, call: Call): Promise<void> {
    const secret = await readSecret(place, secretIdOf(path), 'delete', call);
    if (secret === undefined) return;
    const enabled: string[] = [];
    for await (const { version, state } of readVersions(place, secret.id, { operation: 'delete' }, call))
      if (state === 'enabled') enabled.push(version);
    // The mark comes first: a reader never sees half of the versions gone, and a restore knows which ones to enable.
    await changeSecret(
      place,
      secret,
      'delete',
      ({ aliases, labels, document = emptyDocument }) => {
        const disabled = [...new Set([...document.disabled, ...enabled])];
        const deletedAtMs = document.deletedAtMs ?? clock.now();
        return { aliases, labels, document: { ...document, disabled, deletedAtMs, updatedAtMs: clock.now() } };
      },
      call,
    );
    for (const version of enabled) await changeVersion(place, secret.id, version, 'disable', call);
  }

  return {
    specVersion: 1,
    kind: 'secret-provider',
    id: provider,
    capabilities,
    async close() {
      if (options.client === undefined) await client.close();
    },
    async get(path, at, call) {
      call.signal.throwIfAborted();
      const id = secretIdOf(path);
      const secret = await readSecret(place, id, 'get', call);
      const version = secret && (await selectedVersion(place, secret, at, call));
      if (secret === undefined || version === undefined) return undefined;
      if (secret.document?.deletedAtMs !== undefined) throw unavailable(path, version, 'deleted');
      const value = await accessVersion(place, id, path, version, call);
      if (value === undefined) return undefined;
      const { expiresAtMs, contentType } = secret.document?.versions.get(version) ?? {};
      return { value, version, stages: stagesOf(secret, version, at.version === undefined), expiresAtMs, contentType };
    },
    put,
    async describe(path, call) {
      call.signal.throwIfAborted();
      const secret = await readSecret(place, secretIdOf(path), 'describe', call);
      return secret && recordOfSecret(secret, path, await currentVersion(place, secret, 'describe', call));
    },
    async *listVersions(path, call) {
      const secret = await readSecret(place, secretIdOf(path), 'listVersions', call);
      if (secret === undefined) return;
      for await (const version of readVersions(place, secret.id, { operation: 'listVersions' }, call))
        yield versionRecord(secret, version);
    },
    async *list(prefix, call) {
      const beginning = idPrefixOf(prefix);
      const filter = beginning === '' ? undefined : `name:${beginning}`;
      const found: SecretRecord[] = [];
      for await (const item of readPages(
        place,
        { path: '/secrets', field: 'secrets', operation: 'list', filter },
        call,
      )) {
        const secret = secretOf(item, 'list');
        const path = pathOfId(secret.id);
        const record = path?.startsWith(prefix) && recordOfSecret(secret, path, secret.aliases.get('current'));
        if (record) found.push(record);
        if (found.length > maxListed) throw tooMany();
      }
      yield* found.sort((a, b) => (a.path < b.path ? -1 : 1));
    },
    async annotate(path, { expiresAtMs, annotations = {} }, call) {
      call.signal.throwIfAborted();
      const secret = await existing(path, 'annotate', call);
      const plan = async (now: GcpSecret): Promise<GcpChange> => {
        const { aliases, labels, document = emptyDocument } = now;
        const versions = new Map(document.versions);
        const current = expiresAtMs === undefined ? undefined : await currentVersion(place, now, 'annotate', call);
        if (current !== undefined)
          versions.set(current, { ...versions.get(current), expiresAtMs: expiresAtMs ?? undefined });
        const merged = Object.entries({ ...document.annotations, ...annotations });
        const kept = merged.filter((entry): entry is [string, string] => entry[1] !== null);
        const next = { ...document, versions, annotations: Object.fromEntries(kept), updatedAtMs: clock.now() };
        return { aliases: withCurrent(aliases, current), labels, document: next };
      };
      await changeSecret(place, secret, 'annotate', plan, call);
    },
    async setStage(path, stage, { from, to }, call) {
      call.signal.throwIfAborted();
      assertStage(stage);
      const secret = await existing(path, 'setStage', call);
      const plan = async (now: GcpSecret): Promise<GcpChange> => {
        const current = await currentVersion(place, now, 'setStage', call);
        const aliases = withCurrent(now.aliases, current);
        const held = aliases.get(stage) ?? null;
        if (held !== from) throw conflict(path, `its stage ${stage} is not on version ${from ?? 'none'}`, current);
        if (to === null) aliases.delete(stage);
        else {
          await assertVersion(now, path, to, call);
          moveStage(aliases, stage, to);
        }
        return {
          aliases,
          labels: now.labels,
          document: { ...(now.document ?? emptyDocument), updatedAtMs: clock.now() },
        };
      };
      await changeSecret(place, secret, 'setStage', plan, call);
    },
    async delete(path, { versions, permanent = false }, call) {
      call.signal.throwIfAborted();
      const id = secretIdOf(path);
      if (versions !== undefined) {
        for (const version of versions) {
          const found = await readVersion(place, id, version, 'delete', call);
          if (found !== undefined) await changeVersion(place, id, version, permanent ? 'destroy' : 'disable', call);
        }
      } else if (permanent) {
        const response = await gcpSend(place, { operation: 'delete', method: 'DELETE', path: `/secrets/${id}` }, call);
        if (response.status !== 200 && response.status !== 404) throw gcpError(response, 'delete');
      } else await disableAll(path, call);
    },
    async restore(path, { versions = [] }, call) {
      call.signal.throwIfAborted();
      const secret = await existing(path, 'restore', call);
      for (const version of versions) await assertKnown(secret, version);
      const { disabled = [], deletedAtMs } = secret.document ?? {};
      const whole = deletedAtMs === undefined ? [] : disabled;
      for (const version of new Set([...whole, ...versions]))
        await changeVersion(place, secret.id, version, 'enable', call);
      if (deletedAtMs === undefined) return;
      const plan = ({ aliases, labels, document = emptyDocument }: GcpSecret): GcpChange => {
        return {
          aliases,
          labels,
          document: { ...document, deletedAtMs: undefined, disabled: [], updatedAtMs: clock.now() },
        };
      };
      await changeSecret(place, secret, 'restore', plan, call);

      async function assertKnown({ id }: GcpSecret, version: string): Promise<void> {
        if ((await readVersion(place, id, version, 'restore', call)) === undefined)
          throw notFound(path, `version ${version}`);
      }
    },
  };
}

function endpointOf({
  endpoint,
  location,
}: {
  readonly endpoint?: string | undefined;
  readonly location?: string | undefined;
}): URL {
  const host = location === undefined ? 'secretmanager.googleapis.com' : `secretmanager.${location}.rep.googleapis.com`;
  const url = new URL(endpoint ?? `https://${host}`);
  const isLoopback = /^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(url.hostname);
  if (url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback)) return url;
  const expected = 'an https address, or http on loopback';
  const remedy = 'The access token would be sent in clear: use https.';
  throw configError('gcpSecretManager', [{ field: 'endpoint', expected, received: url.protocol, remedy }]);
}

function planPut(
  now: GcpSecret,
  current: string | undefined,
  version: string,
  how: SecretPutOptions,
  atMs: number,
): GcpChange {
  const { document = emptyDocument } = now;
  const aliases = withCurrent(now.aliases, current);
  for (const stage of how.stages) moveStage(aliases, stage, version);
  const { expiresAtMs, contentType, token, tags } = how;
  const versions = new Map(document.versions).set(version, { expiresAtMs, contentType, token: tokenHash(token) });
  const split = tags === undefined ? { labels: now.labels, rest: document.tags } : splitTags(tags);
  const next: GcpDocument = { ...document, versions, tags: split.rest, deletedAtMs: undefined, updatedAtMs: atMs };
  return { aliases, labels: split.labels, document: next };
}

/** Moves a stage as every provider does: `current` leaves `previous` behind and ends `pending` on its version. */
function moveStage(aliases: Map<string, string>, stage: SecretStage, to: string): void {
  const before = aliases.get(stage);
  if (before === to) return;
  aliases.set(stage, to);
  if (stage !== 'current') return;
  if (before !== undefined) aliases.set('previous', before);
  if (aliases.get('pending') === to) aliases.delete('pending');
}

/** Aliases in which the current version has its own, also where another program made the secret without. */
function withCurrent(aliases: ReadonlyMap<string, string>, current: string | undefined): Map<string, string> {
  const next = new Map(aliases);
  if (current !== undefined) next.set('current', current);
  return next;
}

function versionOfToken({ document }: GcpSecret, token: string): string | undefined {
  const hash = tokenHash(token);
  for (const [version, facts] of document?.versions ?? []) if (facts.token === hash) return version;
  return undefined;
}

function assertCondition(
  path: string,
  secret: GcpSecret | undefined,
  current: string | undefined,
  { ifVersion }: SecretPutOptions,
): void {
  if (ifVersion === undefined || (ifVersion ?? undefined) === current) {
    const deleted = ifVersion === null && secret?.document?.deletedAtMs !== undefined;
    const staged = ifVersion === null && (secret?.aliases.size ?? 0) > 0;
    if (!deleted && !staged) return;
  }
  const why =
    ifVersion === null ? 'it exists, or is deleted and can be restored' : `its current version is not ${ifVersion}`;
  throw conflict(path, why, current);
}

function assertValue(path: string, { length }: Uint8Array): void {
  if (length === 0) {
    const issue = { field: 'value', expected: 'at least one byte', received: 'none', remedy: 'Store a value.' };
    throw configError('gcpSecretManager', [issue]);
  }
  if (length <= maxValueBytes) return;
  const message = `gcp: the value for ${path} has ${length} bytes, over ${maxValueBytes}.`;
  throw coreError('MNOPS_CORE_TOO_LARGE', message, { provider, details: { path, bytes: length, maxValueBytes } });
}

function assertStage(stage: SecretStage): void {
  if (/^[A-Za-z][A-Za-z0-9_-]{0,62}$/.test(stage) && stage !== 'latest' && stage !== 'NEW') return;
  throw new UnsupportedError('gcp: a stage begins with a letter and has at most 63 letters, digits, - or _.', {
    provider,
    remedy: 'Choose such a name, but not `latest` or `NEW`.',
  });
}

function stagesOf({ aliases }: GcpSecret, version: string, isCurrent: boolean): SecretStage[] {
  const stages = [...aliases].filter(([, at]) => at === version).map(([stage]) => stage);
  if (isCurrent && !aliases.has('current') && stages.length === 0) stages.push('current');
  return stages.sort();
}

function versionRecord(
  secret: GcpSecret,
  { version, state, createdAtMs }: Omit<SecretVersionRecord, 'stages' | 'expiresAtMs'>,
): SecretVersionRecord {
  const { document } = secret;
  return {
    version,
    stages: stagesOf(secret, version, false),
    state: document?.deletedAtMs !== undefined && state === 'enabled' ? 'deleted' : state,
    createdAtMs,
    expiresAtMs: document?.versions.get(version)?.expiresAtMs,
  };
}

/** Facts of a secret; `undefined` for one that a put made and did not fill. */
function recordOfSecret(secret: GcpSecret, path: string, current: string | undefined): SecretRecord | undefined {
  const { aliases, document, createdAtMs } = secret;
  const staged = withCurrent(aliases, current);
  if (staged.size === 0 && document !== undefined) return undefined;
  const facts = current === undefined ? undefined : document?.versions.get(current);
  return {
    path,
    version: current,
    stages: Object.fromEntries(staged),
    createdAtMs,
    updatedAtMs: document?.updatedAtMs ?? createdAtMs,
    expiresAtMs: facts?.expiresAtMs,
    deletedAtMs: document?.deletedAtMs,
    contentType: facts?.contentType,
    tags: { ...secret.labels, ...document?.tags },
    annotations: { ...document?.annotations },
  };
}

function conflict(path: string, why: string, current: string | undefined): Error {
  return coreError('MNOPS_CORE_CONFLICT', `The secret ${path} was not written: ${why}.`, {
    provider,
    details: { path, ...(current === undefined ? {} : { currentVersion: current }) },
  });
}

function notFound(path: string, what?: string): Error {
  const message = what === undefined ? `There is no secret ${path}.` : `The secret ${path} has no ${what}.`;
  return coreError('MNOPS_CORE_NOT_FOUND', message, { provider, details: { path } });
}

function tooMany(): Error {
  return coreError('MNOPS_CORE_TOO_LARGE', `gcp: more than ${maxListed} secrets begin so.`, {
    provider,
    remedy: 'List with a longer prefix.',
  });
}
