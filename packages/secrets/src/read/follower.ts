import { codeOf, coreError } from '@mnops/core';
import type { Call, Clock, SecretProvider } from '@mnops/core/spi';

/** What a follower works with. */
export interface FollowerOptions {
  readonly provider: SecretProvider;
  readonly clock: Clock;
  readonly random: () => number;
  /** Hears of each change; without a path, anything may have changed. */
  readonly changed: (path: string | undefined) => void;
  /** Hears why changes are not followed now, and `undefined` once they are again. */
  readonly trouble: (reason: string | undefined) => void;
}

const firstPauseMs = 1_000;
const longestPauseMs = 60_000;

/** Follows what a provider tells of changes, and begins anew when the provider gives up. */
export class ChangeFollower {
  readonly #options: FollowerOptions;
  readonly #end = new AbortController();
  #failures = 0;

  constructor(options: FollowerOptions) {
    this.#options = options;
  }

  start(): void {
    void this.#follow();
  }

  stop(): void {
    this.#end.abort();
  }

  async #follow(): Promise<void> {
    const { signal } = this.#end;
    while (!signal.aborted) {
      try {
        await this.#once();
      } catch (error) {
        if (signal.aborted) return;
        this.#options.trouble(`Changes are not followed: ${codeOf(error) ?? 'unknown reason'}.`);
      }
      if (signal.aborted) return;
      await this.#pause();
      // Nobody knows what happened meanwhile.
      if (!signal.aborted) this.#options.changed(undefined);
    }
  }

  async #once(): Promise<void> {
    const { provider, changed, trouble } = this.#options;
    const { signal } = this.#end;
    const call: Call = {
      signal,
      remainingMs: () => Number.POSITIVE_INFINITY,
      secret: () => Promise.reject(coreError('MNOPS_CORE_CONFIG_INVALID', 'A watch has no resolver.')),
    };
    for await (const { path } of provider.watch?.('', call) ?? []) {
      if (signal.aborted) return;
      this.#failures = 0;
      trouble(undefined);
      changed(path);
    }
  }

  /** A growing pause that keeps no process alive. */
  #pause(): Promise<void> {
    const { clock, random } = this.#options;
    const { signal } = this.#end;
    const longest = Math.min(longestPauseMs, firstPauseMs * 2 ** Math.min(this.#failures, 10));
    this.#failures += 1;
    return new Promise((resolve) => {
      const timer = clock.setTimer(longest * (0.5 + random() / 2), done);
      function done(): void {
        timer.cancel();
        signal.removeEventListener('abort', done);
        resolve();
      }
      signal.addEventListener('abort', done, { once: true });
    });
  }
}
