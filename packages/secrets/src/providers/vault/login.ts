import { readFile } from 'node:fs/promises';
import { coreError, credential } from '@mnops/core';
import type { Call } from '@mnops/core/spi';
import { objectAt, type VaultAnswer, type VaultRequest } from './answers.js';
import type { VaultAuth } from './options.js';
import { answerInvalid, providerId } from './vault-error.js';
import { wirePath, wireSegment } from './wire-path.js';

/** Where Kubernetes puts the token of a pod's service account; it is replaced there before it ends. */
const serviceAccountToken = '/var/run/secrets/kubernetes.io/serviceaccount/token';

/** What a sign-in or a renewal grants. */
export interface TokenGrant {
  readonly token: string;
  /** Milliseconds; `Infinity` for a token without end. */
  readonly ttlMs: number;
  readonly renewable: boolean;
}

/** The way to sign in; a token that was given has none. */
export type SignIn = Exclude<VaultAuth, { readonly token: unknown }>;

/** The request that signs in, with credentials as they are now. */
export async function loginRequest(auth: SignIn, call: Pick<Call, 'secret'>): Promise<VaultRequest> {
  if ('appRole' in auth) {
    const { roleId, secretId, mount = 'approle' } = auth.appRole;
    const body = { role_id: await credential(roleId, call) };
    if (secretId === undefined) return post(mount, 'login', body);
    return post(mount, 'login', { ...body, secret_id: await credential(secretId, call) });
  }
  if ('kubernetes' in auth) {
    const { role, jwt, mount = 'kubernetes' } = auth.kubernetes;
    return post(mount, 'login', { role, jwt: jwt === undefined ? await podToken() : await credential(jwt, call) });
  }
  if ('jwt' in auth) {
    const { role, jwt, mount = 'jwt' } = auth.jwt;
    return post(mount, 'login', { role, jwt: await credential(jwt, call) });
  }
  const { username, password, mount = 'userpass' } = auth.userpass;
  return post(mount, `login/${wireSegment(username)}`, { password: await credential(password, call) });
}

function post(mount: string, rest: string, body: Readonly<Record<string, unknown>>): VaultRequest {
  return { method: 'POST', path: `auth/${wirePath(mount)}/${rest}`, body, operation: 'login', repeatable: true };
}

async function podToken(): Promise<string> {
  try {
    return (await readFile(serviceAccountToken, 'utf8')).trim();
  } catch {
    throw coreError('MNOPS_CORE_UNAUTHENTICATED', `There is no service account token in ${serviceAccountToken}.`, {
      provider: providerId,
      operation: 'login',
      remedy: 'Run in a pod with a service account, or give `auth.kubernetes.jwt`.',
    });
  }
}

/** The grant in an answer to a sign-in or a renewal. */
export function grantOf({ body }: VaultAnswer, operation: string): TokenGrant {
  const auth = objectAt(body, 'auth');
  const token = auth?.['client_token'];
  const seconds = auth?.['lease_duration'];
  if (typeof token !== 'string' || token === '') throw answerInvalid(operation, 'auth.client_token');
  if (typeof seconds !== 'number' || !(seconds >= 0)) throw answerInvalid(operation, 'auth.lease_duration');
  return { token, ttlMs: endless(seconds), renewable: auth?.['renewable'] === true };
}

/** The life of a token that was given, as Vault tells it. */
export function lifeOf({ body }: VaultAnswer): Omit<TokenGrant, 'token'> {
  const data = objectAt(body, 'data');
  const seconds = data?.['ttl'];
  if (typeof seconds !== 'number' || !(seconds >= 0)) throw answerInvalid('lookup-self', 'data.ttl');
  return { ttlMs: endless(seconds), renewable: data?.['renewable'] === true };
}

function endless(seconds: number): number {
  return seconds === 0 ? Number.POSITIVE_INFINITY : seconds * 1_000;
}
