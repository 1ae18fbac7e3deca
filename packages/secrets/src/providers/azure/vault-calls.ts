import type { HttpResponse } from '@mnops/core/http';
import type { Call, Clock } from '@mnops/core/spi';
import { type VaultSender, vaultError, vaultInvalid, vaultReason } from './vault-request.js';
import { recordOf, type VaultSecret, vaultSecretOf } from './vault-secret.js';

const maxListed = 100_000;

/** What a version is written with. */
export interface VaultWrite {
  readonly value?: string | undefined;
  readonly contentType?: string | undefined;
  readonly tags?: Readonly<Record<string, string>> | undefined;
  readonly enabled?: boolean | undefined;
  readonly expiresAtMs?: number | undefined;
}

/** The remote calls that the provider is made of, one exchange each but for lists and waits. */
export interface VaultCalls {
  /** A version with its value; `disabled` when it may not be read. */
  read(
    name: string,
    id: string | undefined,
    operation: string,
    call: Call,
  ): Promise<VaultSecret | 'disabled' | undefined>;
  /** What a deleted secret was; `undefined` when there is none, or the caller may not see it. */
  readDeleted(name: string, operation: string, call: Call): Promise<VaultSecret | undefined>;
  versions(name: string, operation: string, call: Call): Promise<readonly VaultSecret[]>;
  all(which: 'secrets' | 'deletedsecrets', operation: string, call: Call): Promise<readonly VaultSecret[]>;
  write(name: string, what: VaultWrite, operation: string, call: Call): Promise<VaultSecret>;
  change(name: string, id: string, what: VaultWrite, operation: string, call: Call): Promise<VaultSecret>;
  /** Deletes and waits until it is done; absent is success. */
  remove(name: string, call: Call): Promise<void>;
  purge(name: string, call: Call): Promise<void>;
  /** Recovers and waits until it can be read; whether there was something to recover. */
  recover(name: string, call: Call): Promise<boolean>;
}

/** Makes the calls. */
export function vaultCalls(send: VaultSender, clock: Pick<Clock, 'sleep'>, pollMs: number): VaultCalls {
  async function read(
    name: string,
    id: string | undefined,
    operation: string,
    call: Call,
  ): ReturnType<VaultCalls['read']> {
    const response = await send({ operation, path: `/secrets/${name}${id === undefined ? '' : `/${id}`}` }, call);
    if (response.status === 404) return undefined;
    if (response.status === 403 && vaultReason(response) === 'SecretDisabled') return 'disabled';
    if (response.status !== 200) throw vaultError(response, operation);
    return secretNamed(name, response, operation);
  }

  async function readDeleted(name: string, operation: string, call: Call): Promise<VaultSecret | undefined> {
    const response = await send({ operation, path: `/deletedsecrets/${name}` }, call);
    // Whoever may read secrets need not be allowed to see deleted ones.
    if (response.status === 404 || response.status === 403) return undefined;
    if (response.status !== 200) throw vaultError(response, operation);
    return secretNamed(name, response, operation);
  }

  async function pages(path: string, operation: string, call: Call): Promise<readonly VaultSecret[]> {
    const found: VaultSecret[] = [];
    let link: string | undefined;
    do {
      const response = await send({ operation, path, link }, call);
      if (response.status === 404 || (response.status === 403 && path.startsWith('/deletedsecrets'))) return found;
      if (response.status !== 200) throw vaultError(response, operation);
      const { value, nextLink } = recordOf(response.json(), operation, 'object');
      if (!Array.isArray(value)) throw vaultInvalid(operation, 'value');
      for (const item of value) found.push(vaultSecretOf(item, operation));
      const next = typeof nextLink === 'string' && nextLink !== '' ? nextLink : undefined;
      if ((next !== undefined && next === link) || found.length > maxListed) throw vaultInvalid(operation, 'end');
      link = next;
    } while (link !== undefined);
    return found;
  }

  async function until(done: () => Promise<boolean>, call: Call): Promise<void> {
    while (!(await done())) await clock.sleep(pollMs, call.signal);
  }

  async function stored(
    method: 'PUT' | 'PATCH',
    path: string,
    what: VaultWrite,
    operation: string,
    call: Call,
  ): Promise<VaultSecret> {
    const { value, contentType, tags, enabled, expiresAtMs } = what;
    const exp = expiresAtMs === undefined ? undefined : Math.floor(expiresAtMs / 1_000);
    const json = { value, contentType, tags, attributes: { enabled, exp } };
    const response = await send({ operation, method, path, json }, call);
    if (response.status !== 200) throw vaultError(response, operation);
    return vaultSecretOf(response.json(), operation);
  }

  return {
    read,
    readDeleted,
    versions: (name, operation, call) => pages(`/secrets/${name}/versions`, operation, call),
    all: (which, operation, call) => pages(`/${which}`, operation, call),
    write: (name, what, operation, call) => stored('PUT', `/secrets/${name}`, what, operation, call),
    change: (name, id, what, operation, call) => stored('PATCH', `/secrets/${name}/${id}`, what, operation, call),
    async remove(name, call) {
      const operation = 'delete';
      const response = await send({ operation, method: 'DELETE', path: `/secrets/${name}` }, call);
      if (response.status === 404) return;
      if (response.status !== 200) throw vaultError(response, operation);
      await until(async () => (await statusOfDeleted(name, operation, call)) !== 404, call);
    },
    async purge(name, call) {
      const operation = 'delete';
      const response = await send({ operation, method: 'DELETE', path: `/deletedsecrets/${name}` }, call);
      if (response.status === 404) return;
      if (response.status !== 204 && response.status !== 200) throw vaultError(response, operation);
      await until(async () => (await statusOfDeleted(name, operation, call)) !== 200, call);
    },
    async recover(name, call) {
      const operation = 'restore';
      const response = await send({ operation, method: 'POST', path: `/deletedsecrets/${name}/recover` }, call);
      if (response.status === 404) return false;
      if (response.status !== 200) throw vaultError(response, operation);
      await until(async () => (await read(name, undefined, operation, call)) !== undefined, call);
      return true;
    },
  };

  /** 200, 404, or 403 when the caller may delete and not look. */
  async function statusOfDeleted(name: string, operation: string, call: Call): Promise<number> {
    const response = await send({ operation, path: `/deletedsecrets/${name}` }, call);
    if ([200, 403, 404].includes(response.status)) return response.status;
    throw vaultError(response, operation);
  }
}

function secretNamed(name: string, response: HttpResponse, operation: string): VaultSecret {
  const secret = vaultSecretOf(response.json(), operation);
  // Names are without case there.
  if (secret.name.toLowerCase() === name.toLowerCase()) return secret;
  throw vaultInvalid(operation, 'id: it is of another secret');
}
