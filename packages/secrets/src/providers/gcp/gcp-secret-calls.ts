import { coreError, MnopsError } from '@mnops/core';
import type { Call, SecretSelector } from '@mnops/core/spi';
import { secretsError } from '../../codes.js';
import { crc32c } from './crc32c.js';
import { documentKey, documentText, emptyDocument, type GcpDocument } from './gcp-document.js';
import {
  type GcpPlace,
  type GcpSecret,
  type GcpVersion,
  gcpError,
  gcpInvalid,
  gcpSend,
  pageOf,
  recordOf,
  secretOf,
  versionOf,
} from './gcp-request.js';

const provider = 'gcp';

/** Times that a change is made anew because somebody changed the secret between its reading and its writing. */
const changeTries = 8;

/** What a change makes of a secret. */
export interface GcpChange {
  readonly aliases: ReadonlyMap<string, string>;
  readonly document: GcpDocument;
  readonly labels: Readonly<Record<string, string>>;
}

/** The secret with its aliases and facts; `undefined` when absent. */
export async function readSecret(
  place: GcpPlace,
  id: string,
  operation: string,
  call: Call,
): Promise<GcpSecret | undefined> {
  const response = await gcpSend(place, { operation, path: `/secrets/${id}` }, call);
  if (response.status === 404) return undefined;
  if (response.status !== 200) throw gcpError(response, operation);
  const secret = secretOf(response.json(), operation);
  if (secret.id !== id) throw gcpInvalid(operation, 'name: it is of another secret');
  return secret;
}

/** Makes a secret without versions; `undefined` when there is one already. */
export async function createSecret(
  place: GcpPlace,
  id: string,
  labels: Readonly<Record<string, string>>,
  call: Call,
): Promise<GcpSecret | undefined> {
  const operation = 'put';
  const regional = place.parent.includes('/locations/');
  const json = {
    ...(regional ? {} : { replication: { automatic: {} } }),
    labels,
    annotations: { [documentKey]: documentText(emptyDocument) },
  };
  const request = { operation, method: 'POST', path: '/secrets', query: { secretId: id }, json } as const;
  const response = await gcpSend(place, request, call);
  if (response.status === 200) return secretOf(response.json(), operation);
  const error = gcpError(response, operation);
  if (error.details?.['reason'] === 'ALREADY_EXISTS') return undefined;
  throw error;
}

/** Stores a value as a new version that no alias points at. */
export async function addVersion(place: GcpPlace, id: string, value: Uint8Array, call: Call): Promise<GcpVersion> {
  const operation = 'put';
  const payload = { data: Buffer.from(value).toString('base64'), dataCrc32c: String(crc32c(value)) };
  const path = `/secrets/${id}:addVersion`;
  const response = await gcpSend(place, { operation, method: 'POST', path, json: { payload } }, call);
  if (response.status !== 200) throw gcpError(response, operation);
  const fields = recordOf(response.json(), operation, 'object');
  const added = versionOf(fields, operation);
  if (fields['clientSpecifiedPayloadChecksum'] === true) return added;
  throw coreError('MNOPS_CORE_INTEGRITY', 'gcp: the checksum of the value did not reach Secret Manager.', {
    provider,
    operation,
  });
}

/** The value of a version, its checksum verified; `undefined` when there is no such version. */
export async function accessVersion(
  place: GcpPlace,
  id: string,
  path: string,
  version: string,
  call: Call,
): Promise<Uint8Array | undefined> {
  const operation = 'get';
  const response = await gcpSend(place, { operation, path: `/secrets/${id}/versions/${version}:access` }, call);
  if (response.status === 404) return undefined;
  if (response.status !== 200) {
    const error = gcpError(response, operation);
    if (error.details?.['reason'] !== 'FAILED_PRECONDITION') throw error;
    const found = await readVersion(place, id, version, operation, call);
    if (found === undefined || found.state === 'enabled') throw error;
    throw unavailable(path, version, found.state);
  }
  const answer = recordOf(response.json(), operation, 'object');
  if (!String(answer['name']).includes(`/secrets/${id}/versions/`)) {
    throw gcpInvalid(operation, 'name: it is of another secret');
  }
  const payload = recordOf(answer['payload'], operation, 'payload');
  const { data = '', dataCrc32c } = payload;
  if (typeof data !== 'string') throw gcpInvalid(operation, 'payload.data');
  const value = Buffer.from(data, 'base64');
  if (String(dataCrc32c) === String(crc32c(value))) return value;
  throw coreError('MNOPS_CORE_INTEGRITY', `gcp: version ${version} of ${path} does not match its checksum.`, {
    provider,
    operation,
    retryable: true,
    remedy: 'Read it again; if it stays so, write the value anew.',
  });
}

/** State of a version; `undefined` when absent. */
export async function readVersion(
  place: GcpPlace,
  id: string,
  version: string,
  operation: string,
  call: Call,
): Promise<GcpVersion | undefined> {
  if (!isVersion(version)) return undefined;
  const response = await gcpSend(place, { operation, path: `/secrets/${id}/versions/${version}` }, call);
  if (response.status === 404) return undefined;
  if (response.status !== 200) throw gcpError(response, operation);
  return versionOf(response.json(), operation);
}

/** Versions, newest first. */
export async function* readVersions(
  place: GcpPlace,
  id: string,
  options: { readonly operation: string; readonly filter?: string | undefined },
  call: Call,
): AsyncGenerator<GcpVersion, void> {
  const { operation, filter } = options;
  for await (const item of readPages(
    place,
    { path: `/secrets/${id}/versions`, field: 'versions', operation, filter },
    call,
  ))
    yield versionOf(item, operation);
}

/** Items of a list, page by page; none when its parent is absent. */
export async function* readPages(
  place: GcpPlace,
  list: {
    readonly path: string;
    readonly field: 'secrets' | 'versions';
    readonly operation: string;
    readonly filter?: string | undefined;
  },
  call: Call,
): AsyncGenerator<unknown, void> {
  const { path, field, operation, filter } = list;
  let pageToken: string | undefined;
  do {
    const query = { pageSize: '250', filter, pageToken };
    const response = await gcpSend(place, { operation, path, query }, call);
    if (response.status === 404 && field === 'versions') return;
    if (response.status !== 200) throw gcpError(response, operation);
    const page = pageOf(response, field, operation);
    yield* page.items;
    if (page.next !== undefined && page.next === pageToken) throw gcpInvalid(operation, 'nextPageToken');
    pageToken = page.next;
  } while (pageToken !== undefined);
}

/** Disables, enables or destroys a version; one that is absent or destroyed stays so. */
export async function changeVersion(
  place: GcpPlace,
  id: string,
  version: string,
  action: 'disable' | 'enable' | 'destroy',
  call: Call,
): Promise<void> {
  const operation = action === 'enable' ? 'restore' : 'delete';
  const path = `/secrets/${id}/versions/${version}:${action}`;
  const response = await gcpSend(place, { operation, method: 'POST', path, json: {} }, call);
  if (response.status === 200 || response.status === 404) return;
  const error = gcpError(response, operation);
  if (error.details?.['reason'] === 'FAILED_PRECONDITION') return;
  throw error;
}

/**
 * Changes aliases, labels and facts in one step that holds only if nobody changed the secret meanwhile; then `plan` is
 * asked again with what is there now, and may refuse.
 */
export async function changeSecret(
  place: GcpPlace,
  first: GcpSecret,
  operation: string,
  plan: (now: GcpSecret) => GcpChange | Promise<GcpChange>,
  call: Call,
): Promise<GcpSecret> {
  let now = first;
  for (let attempt = 1; ; attempt += 1) {
    const { aliases, labels, document } = await plan(now);
    const json = {
      name: `${place.parent}/secrets/${now.id}`,
      etag: now.etag,
      versionAliases: Object.fromEntries(aliases),
      labels,
      annotations: { ...now.annotations, [documentKey]: documentText(document) },
    };
    const query = { updateMask: 'versionAliases,labels,annotations' };
    const request = { operation, method: 'PATCH', path: `/secrets/${now.id}`, query, json } as const;
    const response = await gcpSend(place, request, call);
    if (response.status === 200) return secretOf(response.json(), operation);
    const error = gcpError(response, operation);
    if (!MnopsError.is(error, 'MNOPS_CORE_CONFLICT') || attempt === changeTries) throw error;
    const again = await readSecret(place, now.id, operation, call);
    if (again === undefined) throw error;
    now = again;
  }
}

/** The version that is current; the newest where another program made the secret and gave it no alias. */
export async function currentVersion(
  place: GcpPlace,
  secret: GcpSecret,
  operation: string,
  call: Call,
): Promise<string | undefined> {
  const current = secret.aliases.get('current');
  if (current !== undefined || secret.document !== undefined) return current;
  for await (const { version } of readVersions(place, secret.id, { operation }, call)) return version;
  return undefined;
}

/** The version that a selector means. */
export async function selectedVersion(
  place: GcpPlace,
  secret: GcpSecret,
  at: SecretSelector,
  call: Call,
): Promise<string | undefined> {
  if (at.version !== undefined && !isVersion(at.version)) return undefined;
  if (at.version !== undefined && at.stage === undefined) return at.version;
  const { stage = 'current' } = at;
  const staged = stage === 'current' ? await currentVersion(place, secret, 'get', call) : secret.aliases.get(stage);
  return at.version === undefined || at.version === staged ? staged : undefined;
}

/** Only the text that a version's number prints as: `latest` and aliases are no versions. */
function isVersion(version: string): boolean {
  return /^[1-9]\d{0,14}$/.test(version);
}

/** The error for a version that is there and cannot be read. */
export function unavailable(path: string, version: string, state: 'deleted' | 'destroyed'): MnopsError {
  return secretsError('MNOPS_SECRETS_VERSION_UNAVAILABLE', `Version ${version} of the secret ${path} is ${state}.`, {
    provider,
    details: { path, version, state },
  });
}
