import { coreError, credential, MnopsError } from '@mnops/core';
import { errorFromResponse, type HttpClient, type HttpResponse } from '@mnops/core/http';
import type { Call, Credential, SecretVersionState } from '@mnops/core/spi';
import { loadPeer } from '../../load-peer.js';
import { documentKey, documentOf, type GcpDocument } from './gcp-document.js';

const provider = 'gcp';

/** Where the secrets of one project are and how requests sign in. */
export interface GcpPlace {
  readonly client: HttpClient;
  readonly endpoint: URL;
  /** Such as `projects/my-project`. */
  readonly parent: string;
  readonly accessToken: Credential;
}

/** One request below the parent. */
export interface GcpRequest {
  readonly operation: string;
  readonly method?: 'GET' | 'POST' | 'PATCH' | 'DELETE' | undefined;
  /** Such as `/secrets/name:addVersion`. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string | undefined>> | undefined;
  readonly json?: unknown;
}

/** A secret as Secret Manager describes it. */
export interface GcpSecret {
  readonly id: string;
  readonly etag: string;
  readonly createdAtMs: number;
  readonly labels: Readonly<Record<string, string>>;
  /** Annotations of others. */
  readonly annotations: Readonly<Record<string, string>>;
  /** Version numbers by alias. */
  readonly aliases: ReadonlyMap<string, string>;
  /** Absent: it was not made by this provider. */
  readonly document: GcpDocument | undefined;
}

/** A version as Secret Manager describes it. */
export interface GcpVersion {
  readonly version: string;
  readonly state: SecretVersionState;
  readonly createdAtMs: number;
}

/** One signed exchange. */
export async function gcpSend(place: GcpPlace, request: GcpRequest, call: Call): Promise<HttpResponse> {
  call.signal.throwIfAborted();
  const token = await credential(place.accessToken, call);
  call.signal.throwIfAborted();
  const base = place.endpoint.pathname.replace(/\/+$/, '');
  const url = new URL(`${base}/v1/${place.parent}${request.path}`, place.endpoint);
  for (const [name, value] of Object.entries(request.query ?? {}))
    if (value !== undefined) url.searchParams.set(name, value);
  return await place.client.request({
    method: request.method ?? 'GET',
    url,
    headers: { authorization: `Bearer ${token}` },
    json: request.json,
    signal: call.signal,
  });
}

/** An access token from the machine's own credentials, by google-auth-library, which keeps and renews it. */
export function applicationDefault(): () => Promise<string> {
  let source: Promise<{ getAccessToken(): Promise<string | null | undefined> }> | undefined;
  return async () => {
    source ??= loadPeer('google-auth-library', 'gcpSecretManager without `accessToken`', async () => {
      // With a `catch` of its own, bundlers leave a package that is not installed to the moment it is needed.
      const { GoogleAuth } = await import('google-auth-library').catch((error: unknown) => Promise.reject(error));
      return new GoogleAuth({ scopes: 'https://www.googleapis.com/auth/cloud-platform' });
    });
    let token: string | null | undefined;
    try {
      token = await (await source).getAccessToken();
    } catch (error) {
      source = undefined;
      if (MnopsError.is(error)) throw error;
      // The library's errors can hold the request that failed, with keys in it.
      throw unauthenticated();
    }
    if (typeof token === 'string' && token !== '') return token;
    throw unauthenticated();
  };
}

function unauthenticated(): Error {
  return coreError('MNOPS_CORE_UNAUTHENTICATED', 'gcp: no access token was found.', {
    provider,
    remedy: 'Set GOOGLE_APPLICATION_CREDENTIALS, run `gcloud auth application-default login`, or pass `accessToken`.',
  });
}

/** The error that an answer stands for: by Google's own status where it says more than that of HTTP. */
export function gcpError(response: HttpResponse, operation: string): MnopsError {
  const byStatus = errorFromResponse(response, { provider, operation });
  const reason = reasonOf(response);
  if (reason === undefined) return byStatus;
  const message = `${byStatus.message.slice(0, -1)} (${reason}).`;
  const { retryAfterMs, remedy } = byStatus;
  const details = { ...byStatus.details, reason };
  if (reason === 'FAILED_PRECONDITION' || reason === 'ABORTED')
    return coreError('MNOPS_CORE_CONFLICT', message, { provider, operation, retryAfterMs, details });
  const { code, retryable } = byStatus;
  return new MnopsError(code, message, { provider, operation, retryable, retryAfterMs, remedy, details });
}

function reasonOf(response: HttpResponse): string | undefined {
  try {
    const { error } = response.json<{ readonly error?: { readonly status?: unknown } }>();
    const status = error?.status;
    return typeof status === 'string' && /^[A-Z_]{1,40}$/.test(status) ? status : undefined;
  } catch {
    return undefined;
  }
}

/** The error for an answer that lacks what the protocol promises. */
export function gcpInvalid(operation: string, what: string): MnopsError {
  return coreError('MNOPS_CORE_RESPONSE_INVALID', `gcp: the answer to ${operation} has no valid ${what}.`, {
    provider,
    operation,
  });
}

/** Checks an answer that describes a secret. */
export function secretOf(value: unknown, operation: string): GcpSecret {
  const fields = recordOf(value, operation, 'object');
  const annotations = { ...textsOf(fields['annotations'], operation, 'annotations') };
  const document = documentOf(Object.hasOwn(annotations, documentKey) ? annotations[documentKey] : undefined);
  delete annotations[documentKey];
  const aliases = new Map<string, string>();
  for (const [name, version] of Object.entries(textsOf(fields['versionAliases'], operation, 'versionAliases')))
    aliases.set(name, version);
  return {
    id:
      /^projects\/[^/]+(?:\/locations\/[^/]+)?\/secrets\/([^/]+)$/.exec(String(fields['name']))?.[1] ?? refuse('name'),
    etag: typeof fields['etag'] === 'string' ? fields['etag'] : refuse('etag'),
    createdAtMs: timeOf(fields['createTime'], operation),
    labels: textsOf(fields['labels'], operation, 'labels'),
    annotations,
    aliases,
    document,
  };

  function refuse(what: string): never {
    throw gcpInvalid(operation, what);
  }
}

const states: Readonly<Record<string, SecretVersionState>> = {
  ENABLED: 'enabled',
  DISABLED: 'deleted',
  DESTROYED: 'destroyed',
};

/** Checks an answer that describes a version. */
export function versionOf(value: unknown, operation: string): GcpVersion {
  const fields = recordOf(value, operation, 'object');
  const version = /\/versions\/([1-9]\d*)$/.exec(String(fields['name']))?.[1];
  const state = states[String(fields['state'])];
  if (version === undefined) throw gcpInvalid(operation, 'name');
  if (state === undefined) throw gcpInvalid(operation, 'state');
  return { version, state, createdAtMs: timeOf(fields['createTime'], operation) };
}

/** Checks a page of a list. */
export function pageOf(
  response: HttpResponse,
  field: 'secrets' | 'versions',
  operation: string,
): { readonly items: readonly unknown[]; readonly next: string | undefined } {
  const fields = recordOf(response.json(), operation, 'object');
  const items = fields[field] ?? [];
  const next = fields['nextPageToken'] ?? '';
  if (!Array.isArray(items)) throw gcpInvalid(operation, field);
  if (typeof next !== 'string') throw gcpInvalid(operation, 'nextPageToken');
  return { items: items as readonly unknown[], next: next === '' ? undefined : next };
}

/** Checks that a part of an answer is an object. */
export function recordOf(value: unknown, operation: string, what: string): Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw gcpInvalid(operation, what);
}

function textsOf(value: unknown, operation: string, what: string): Readonly<Record<string, string>> {
  if (value === undefined) return {};
  const entries = Object.entries(recordOf(value, operation, what));
  return Object.fromEntries(entries.map(([name, text]) => [name, String(text)]));
}

function timeOf(value: unknown, operation: string): number {
  const ms = typeof value === 'string' ? Date.parse(value) : Number.NaN;
  if (Number.isNaN(ms)) throw gcpInvalid(operation, 'createTime');
  return ms;
}
