import { coreError, MnopsError, systemClock } from '@mnops/core';
import type { Call, Clock } from '@mnops/core/spi';
import type { VaultAnswer, VaultRequest } from './answers.js';
import { type OwnClient, ownClient } from './client.js';
import type { NodeVaultLike, VaultConnectionOptions } from './options.js';
import { VaultSession } from './session.js';
import { providerId, vaultError } from './vault-error.js';

/** One Vault, one identity: requests with a token that is kept alive meanwhile. */
export class VaultConnection {
  readonly #options: VaultConnectionOptions;
  readonly #session: VaultSession;
  #own: Promise<OwnClient> | undefined;
  #closed = false;

  constructor(options: VaultConnectionOptions, random: () => number = Math.random) {
    const clock: Clock = options.clock ?? systemClock();
    this.#options = { ...options };
    this.#session = new VaultSession(options.auth, (request, token, call) => this.#exchange(request, token, call), {
      clock,
      random,
    });
  }

  /** Signs in, or looks at the token that was given. */
  async open(call: Call): Promise<void> {
    await this.#session.open(call);
  }

  /** Nothing is sent any more. The token ends by itself, and so do the leases that were taken with it. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#session.close();
    const own = await this.#own?.catch(() => undefined);
    await own?.close();
  }

  /**
   * One request. A refusal (403) because the token has died leads to one sign-in, joined by everybody who finds the same,
   * and to a repetition where the request can be repeated.
   *
   * @returns Any answer but refusals and outages.
   * @throws {MnopsError} `MNOPS_CORE_ACCESS_DENIED` where a policy forbids it, `MNOPS_CORE_UNAUTHENTICATED` when the token
   * died and the request cannot be repeated by itself, and what the transport threw.
   */
  async request(request: VaultRequest, call: Call): Promise<VaultAnswer> {
    this.#assertOpen();
    call.signal.throwIfAborted();
    const token = await this.#session.token(call);
    const answer = await this.#exchange(request, token, call);
    if (answer.status !== 403) return checked(answer, request);
    if (!(await this.#session.replaced(token, call))) throw vaultError(403, request.operation);
    if (!request.repeatable) {
      const message = `${providerId}: ${request.operation} was refused because the token had died; another one is there.`;
      throw coreError('MNOPS_CORE_UNAUTHENTICATED', message, {
        provider: providerId,
        operation: request.operation,
        // The server did nothing, so whoever decides about repetitions may try again.
        retryable: true,
        remedy: 'Try again.',
      });
    }
    return checked(await this.#exchange(request, await this.#session.token(call), call), request);
  }

  async #exchange(request: VaultRequest, token: string | undefined, call: Call): Promise<VaultAnswer> {
    const { path, method, body, operation } = request;
    const client = await this.#client();
    call.signal.throwIfAborted();
    this.#assertOpen();
    const headers: Record<string, string> = { 'X-Vault-Request': 'true' };
    if (token !== undefined) headers['X-Vault-Token'] = token;
    if (this.#options.namespace !== undefined) headers['X-Vault-Namespace'] = this.#options.namespace;
    if (method === 'PATCH') headers['Content-Type'] = 'application/merge-patch+json';
    const options = { path: `/${path}`, method, headers, signal: call.signal, operation };
    try {
      const answer = await abortable(client.request(body === undefined ? options : { ...options, json: body }), call);
      return answer === undefined || answer === '' ? { status: 204, body: undefined } : { status: 200, body: answer };
    } catch (error) {
      return this.#failed(error, operation, call);
    }
  }

  /** A refusal is an answer. Everything else that a client throws may hold the request: it becomes an error without cause. */
  #failed(error: unknown, operation: string, call: Call): VaultAnswer {
    if (call.signal.aborted) throw call.signal.reason;
    if (MnopsError.is(error)) throw error;
    const { response } = (error ?? {}) as { readonly response?: { statusCode?: unknown; body?: unknown } };
    if (typeof response?.statusCode === 'number') {
      const { statusCode: status, body } = response;
      const refused = status >= 400 && status < 500 && status !== 429 && status !== 412;
      if (refused && status !== 472 && status !== 473) return { status, body };
      throw vaultError(status, operation);
    }
    throw coreError('MNOPS_CORE_UNAVAILABLE', `${providerId}: ${operation} got no answer.`, {
      provider: providerId,
      operation,
    });
  }

  async #client(): Promise<NodeVaultLike> {
    const { client, address = '', ca } = this.#options;
    if (client !== undefined) return client;
    this.#own ??= ownClient(address, ca).catch((error: unknown) => {
      this.#own = undefined;
      throw error;
    });
    return (await this.#own).client;
  }

  #assertOpen(): void {
    if (!this.#closed) return;
    throw coreError('MNOPS_CORE_CLOSED', 'The connection to Vault is closed.', { provider: providerId });
  }
}

function checked(answer: VaultAnswer, { operation }: VaultRequest): VaultAnswer {
  const { status } = answer;
  if (status === 200 || status === 204 || status === 400 || status === 404) return answer;
  throw vaultError(status, operation);
}

/** A client of the user's may not listen to the signal. */
async function abortable<T>(work: Promise<T>, { signal }: Call): Promise<T> {
  let aborted: (() => void) | undefined;
  const gone = new Promise<never>((_, reject) => {
    aborted = () => reject(signal.reason);
    signal.addEventListener('abort', aborted, { once: true });
  });
  try {
    return await Promise.race([work, gone]);
  } finally {
    if (aborted !== undefined) signal.removeEventListener('abort', aborted);
  }
}
