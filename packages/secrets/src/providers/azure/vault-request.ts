import { coreError, MnopsError, untilAborted } from '@mnops/core';
import { errorFromResponse, type HttpClient, type HttpResponse } from '@mnops/core/http';
import type { Call, Clock } from '@mnops/core/spi';
import { secretsError } from '../../codes.js';

const provider = 'azure';
const apiVersion = '7.6';
/** A token is renewed so long before its end. */
const renewBeforeMs = 120_000;

/** What signs in: every credential of `@azure/identity` fits. */
export interface TokenCredentialLike {
  getToken(
    scopes: string | string[],
    options?: { readonly tenantId?: string },
  ): Promise<{ readonly token: string; readonly expiresOnTimestamp: number } | null>;
}

/** Where a vault is and how requests sign in. */
export interface VaultPlace {
  readonly client: HttpClient;
  readonly vault: URL;
  readonly credential: TokenCredentialLike;
  readonly clock: Pick<Clock, 'now'>;
}

/** One request to the vault. */
export interface VaultRequest {
  readonly operation: string;
  readonly method?: 'GET' | 'PUT' | 'POST' | 'PATCH' | 'DELETE' | undefined;
  /** Such as `/secrets/name`. */
  readonly path?: string | undefined;
  /** Whole address of the next page, as the vault gave it. */
  readonly link?: string | undefined;
  readonly json?: unknown;
}

/** Sends one request, signed in. */
export type VaultSender = (request: VaultRequest, call: Call) => Promise<HttpResponse>;

interface Challenge {
  readonly scope: string;
  readonly tenantId: string | undefined;
}

/**
 * Makes the function that sends requests. The vault says in a challenge for which resource it wants a token; it gets one
 * only if its own host lies below that resource's. A first request goes without token and without its body.
 */
export function vaultSender(place: VaultPlace): VaultSender {
  const { client, vault, credential, clock } = place;
  let challenge: Challenge | undefined;
  let token: { readonly text: string; readonly renewAtMs: number } | undefined;
  let running: Promise<string> | undefined;

  async function freshToken({ scope, tenantId }: Challenge): Promise<string> {
    let given: Awaited<ReturnType<TokenCredentialLike['getToken']>>;
    try {
      given = await credential.getToken(scope, tenantId === undefined ? {} : { tenantId });
    } catch (error) {
      // Errors of credential libraries can hold the request that failed, with keys in it.
      throw MnopsError.is(error) ? error : noToken();
    }
    if (typeof given?.token !== 'string' || given.token === '') throw noToken();
    token = { text: given.token, renewAtMs: given.expiresOnTimestamp - renewBeforeMs };
    return given.token;
  }

  async function tokenFor(wanted: Challenge, call: Call): Promise<string> {
    if (token !== undefined && clock.now() < token.renewAtMs) return token.text;
    running ??= freshToken(wanted).finally(() => {
      running = undefined;
    });
    return await untilAborted(running, call.signal);
  }

  async function exchange(request: VaultRequest, bearer: string | undefined, call: Call): Promise<HttpResponse> {
    const { method = 'GET', json } = request;
    const body = bearer === undefined && method !== 'GET' ? { body: '' } : { json };
    const headers = bearer === undefined ? {} : { authorization: `Bearer ${bearer}` };
    return await client.request({ method, url: addressOf(vault, request), headers, signal: call.signal, ...body });
  }

  return async (request, call) => {
    call.signal.throwIfAborted();
    if (challenge === undefined) {
      const first = await exchange(request, undefined, call);
      if (first.status !== 401) {
        if (request.json === undefined || first.status >= 300) return first;
        throw vaultInvalid(request.operation, 'challenge');
      }
      challenge = challengeOf(first, vault, request.operation);
    }
    const response = await exchange(request, await tokenFor(challenge, call), call);
    if (response.status === 401) {
      token = undefined;
      challenge = undefined;
    }
    return response;
  };
}

function addressOf(vault: URL, { path, link, operation }: VaultRequest): URL {
  if (link === undefined) return new URL(`${path}${path?.includes('?') ? '&' : '?'}api-version=${apiVersion}`, vault);
  const url = URL.canParse(link, vault.href) ? new URL(link, vault) : undefined;
  // A token for this vault goes to this vault only.
  if (url?.origin === vault.origin && /^\/(?:secrets|deletedsecrets)(?:\/|$)/.test(url.pathname)) return url;
  throw vaultInvalid(operation, 'nextLink: it leads to another host or path');
}

function challengeOf(response: HttpResponse, vault: URL, operation: string): Challenge {
  const header = response.headers['www-authenticate'] ?? '';
  const fields = new Map<string, string>();
  for (const [, name = '', value = ''] of header.matchAll(/(\w+)="([^"]*)"/g)) fields.set(name.toLowerCase(), value);
  const resource = fields.get('resource');
  const scope = resource === undefined ? fields.get('scope') : `${resource.replace(/\/$/, '')}/.default`;
  if (!/^bearer\s/i.test(header) || scope === undefined) throw vaultError(response, operation);
  const asked = URL.canParse(scope) ? new URL(scope) : undefined;
  if (asked?.protocol !== 'https:' || !vault.hostname.endsWith(`.${asked.hostname}`) || !asked.hostname.includes('.')) {
    throw coreError('MNOPS_CORE_UNAUTHENTICATED', `azure: ${vault.host} asked for a token of a foreign resource.`, {
      provider,
      operation,
      remedy: 'Check `vaultUrl`: no token is sent to a host outside the domain that the token is for.',
    });
  }
  const authority = fields.get('authorization') ?? fields.get('authorization_url') ?? '';
  const tenantId = URL.canParse(authority) ? new URL(authority).pathname.split('/')[1] : undefined;
  return { scope, tenantId: tenantId === '' ? undefined : tenantId };
}

/** Why the vault refused, in its own words: the inner code where there is one. */
export function vaultReason(response: HttpResponse): string | undefined {
  try {
    const { error } = response.json<{
      readonly error?: { readonly code?: unknown; readonly innererror?: { readonly code?: unknown } };
    }>();
    const code = error?.innererror?.code ?? error?.code;
    return typeof code === 'string' && /^[A-Za-z]{1,64}$/.test(code) ? code : undefined;
  } catch {
    return undefined;
  }
}

/** The error that an answer stands for. */
export function vaultError(response: HttpResponse, operation: string): MnopsError {
  const byStatus = errorFromResponse(response, { provider, operation });
  const reason = vaultReason(response);
  if (reason === undefined) return byStatus;
  const { code, retryAfterMs, remedy } = byStatus;
  const message = `${byStatus.message.slice(0, -1)} (${reason}).`;
  const options = { provider, operation, retryAfterMs, details: { ...byStatus.details, reason } };
  if (reason === 'ObjectIsDeletedButRecoverable')
    return secretsError('MNOPS_SECRETS_PENDING_DELETION', message, options);
  const retryable = byStatus.retryable || reason === 'ObjectIsBeingDeleted' || reason === 'ObjectIsBeingRecovered';
  return new MnopsError(code, message, { ...options, retryable, remedy });
}

/** The error for an answer that lacks what the protocol promises. */
export function vaultInvalid(operation: string, what: string): MnopsError {
  return coreError('MNOPS_CORE_RESPONSE_INVALID', `azure: the answer to ${operation} has no valid ${what}.`, {
    provider,
    operation,
  });
}

function noToken(): Error {
  return coreError('MNOPS_CORE_UNAUTHENTICATED', 'azure: the credential gave no token.', {
    provider,
    remedy: 'Check the credential that the provider was given.',
  });
}
