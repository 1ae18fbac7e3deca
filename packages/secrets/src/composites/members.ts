import { codeOf, coreError, MnopsError } from '@mnops/core';
import { singleFlight } from '@mnops/core/resilience';
import type { Call, SecretProvider, SecretRecord, SecretSelector, StoredSecret, StoredSecrets } from '@mnops/core/spi';

type Opening = (call: Call) => Promise<void>;

/** One provider of a composite: opened before its first use, and named in its failures. */
export class Member {
  readonly provider: SecretProvider;
  /** How failures name it, such as `fallback[1] memory`. */
  readonly label: string;
  readonly #opened: Opening;

  /** @param openings - Shared by the members of one composite, so that one provider in two places is opened once. */
  constructor(provider: SecretProvider, label: string, openings: Map<SecretProvider, Opening>) {
    this.provider = provider;
    this.label = label;
    this.#opened = openings.get(provider) ?? openingOf(provider);
    openings.set(provider, this.#opened);
  }

  open(call: Call): Promise<void> {
    return this.run(call, async () => undefined);
  }

  /** What work on the open provider yields; its failure names the member. An abort comes through as it is. */
  async run<T>(call: Call, work: (provider: SecretProvider) => Promise<T>): Promise<T> {
    try {
      call.signal.throwIfAborted();
      await this.#opened(call);
      return await work(this.provider);
    } catch (error) {
      throw this.named(error);
    }
  }

  /** A failure that names the member; what is no failure of a provider, such as a reason to abort, stays as it is. */
  named(error: unknown): unknown {
    if (!MnopsError.is(error) || error.details?.['member'] !== undefined) return error;
    const { code, message, retryable, retryAfterMs, provider, operation, remedy, details, cause } = error;
    return new MnopsError(code, `${this.label}: ${message}`, {
      retryable,
      retryAfterMs,
      provider: provider ?? this.provider.id,
      operation,
      remedy,
      details: { ...details, member: this.label },
      cause,
    });
  }

  get(path: string, at: SecretSelector, call: Call): Promise<StoredSecret | undefined> {
    return this.run(call, (provider) => provider.get(path, at, call));
  }

  describe(path: string, call: Call): Promise<SecretRecord | undefined> {
    return this.run(call, (provider) => provider.describe(path, call));
  }

  list(prefix: string, call: Call): Promise<SecretRecord[]> {
    return this.run(call, (provider) => collect(provider.list(prefix, call)));
  }

  /** Current values of several paths, in as few calls as the member offers; a failure is that of its paths alone. */
  async getMany(paths: readonly string[], call: Call): Promise<StoredSecrets> {
    const answer: Answer = { found: new Map(), absent: [], failed: new Map() };
    const { getMany, capabilities } = this.provider;
    const size = getMany === undefined ? 1 : Math.max(1, capabilities.batchGet);
    const groups: (readonly string[])[] = [];
    for (let at = 0; at < paths.length; at += size) groups.push(paths.slice(at, at + size));
    await Promise.all(groups.map((group) => this.#group(group, call, answer)));
    call.signal.throwIfAborted();
    return answer;
  }

  async #group(paths: readonly string[], call: Call, answer: Answer): Promise<void> {
    if (paths.length > 1) {
      try {
        const { found, absent, failed } = await this.run(call, (provider) => batchOf(provider, paths, call));
        for (const [path, stored] of found) answer.found.set(path, stored);
        for (const [path, error] of failed) answer.failed.set(path, asError(this.named(error)));
        answer.absent.push(...absent);
        return;
      } catch (error) {
        // The right to ask for several at once is often one of its own.
        if (codeOf(error) !== 'MNOPS_CORE_ACCESS_DENIED') {
          for (const path of paths) answer.failed.set(path, asError(error));
          return;
        }
      }
    }
    await Promise.all(paths.map((path) => this.#single(path, call, answer)));
  }

  async #single(path: string, call: Call, answer: Answer): Promise<void> {
    try {
      const stored = await this.get(path, {}, call);
      if (stored === undefined) answer.absent.push(path);
      else answer.found.set(path, stored);
    } catch (error) {
      answer.failed.set(path, asError(error));
    }
  }
}

interface Answer {
  readonly found: Map<string, StoredSecret>;
  readonly absent: string[];
  readonly failed: Map<string, Error>;
}

/** Everything that an asynchronous list yields. */
export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

function batchOf(provider: SecretProvider, paths: readonly string[], call: Call): Promise<StoredSecrets> {
  return provider.getMany?.(paths, call) ?? Promise.resolve({ found: new Map(), absent: paths, failed: new Map() });
}

function asError(error: unknown): Error {
  return error instanceof Error
    ? error
    : coreError('MNOPS_CORE_ABORTED', 'The read was cancelled.', { details: { reason: typeof error } });
}

/** Opens once, however many callers ask; after a failure the next one tries again. */
function openingOf(provider: SecretProvider): Opening {
  if (provider.open === undefined) return async () => undefined;
  const flights = singleFlight<'open', true>();
  let isOpen = false;
  return async (call) => {
    if (isOpen) return;
    const remainingMs = call.remainingMs();
    const timeoutMs = Number.isFinite(remainingMs) ? remainingMs : undefined;
    await flights.run(
      'open',
      async (shared) => {
        await provider.open?.(shared);
        isOpen = true;
        return true;
      },
      { signal: call.signal, timeoutMs },
    );
  };
}
