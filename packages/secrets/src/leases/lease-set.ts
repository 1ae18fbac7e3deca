import { coreError, UnsupportedError } from '@mnops/core';
import { traced } from '@mnops/core/operations';
import type { Call, CallOptions, IssuedSecret } from '@mnops/core/spi';
import type { SecretsCore } from '../secrets-core.js';
import { type LeaseOptions, RenewingLease, type SecretLease } from './secret-lease.js';

const maxLeases = 10_000;

/** The leases of one manager. */
export class LeaseSet {
  readonly #core: SecretsCore;
  readonly #leases = new Set<RenewingLease>();
  #opening = 0;

  constructor(core: SecretsCore) {
    this.#core = core;
  }

  get size(): number {
    return this.#leases.size;
  }

  /** A credential for one actor, kept alive as the options say. */
  async open(actor: string, path: string, options: LeaseOptions): Promise<SecretLease> {
    const { provider } = this.#core;
    if (!provider.capabilities.leases) {
      throw new UnsupportedError(`The provider ${provider.id} does not have the capability leases.`, {
        provider: provider.id,
        details: { ability: 'leases' },
      });
    }
    this.#assertRoom();
    this.#opening += 1;
    let issued: IssuedSecret | undefined;
    try {
      const first = await this.#core.operate(actor, 'lease', path, async () => {
        issued = await this.#issue(path, options.ttlMs, options);
        return issued;
      });
      return this.#keep(actor, path, first, options);
    } catch (error) {
      // It was made and may not be handed out, because it could not be recorded: it shall not live on unseen.
      if (issued !== undefined) await this.#revoke(issued.leaseId, {}).catch(() => undefined);
      throw error;
    } finally {
      this.#opening -= 1;
    }
  }

  /** Gives all credentials back, as far as the call's time allows. */
  async revokeAll(call: Call): Promise<void> {
    const options = { signal: call.signal, timeoutMs: call.remainingMs() };
    await Promise.allSettled([...this.#leases].map((lease) => lease.revoke(options)));
  }

  /** Nothing is renewed any more. */
  release(): void {
    for (const lease of [...this.#leases]) lease.release();
  }

  #assertRoom(): void {
    if (this.#leases.size + this.#opening < maxLeases) return;
    throw coreError('MNOPS_CORE_TOO_LARGE', `More than ${maxLeases} leases are open.`, {
      remedy: 'Share one lease between the uses of a credential, and revoke those that are not needed.',
    });
  }

  #keep(actor: string, path: string, issued: IssuedSecret, { ttlMs, renew = true }: LeaseOptions): RenewingLease {
    const core = this.#core;
    const { events, recorder, lifecycle } = core;
    const record = async (operation: 'lease:renew' | 'lease:replace' | 'lease:revoke', code?: string): Promise<void> =>
      recorder.record({ actor, operation, path, code });
    const lease = new RenewingLease(
      {
        clock: core.settings.clock,
        provider: core.provider.id,
        random: Math.random,
        issue: async () => {
          const next = await this.#issue(path, ttlMs, {});
          try {
            await record('lease:replace');
          } catch (error) {
            await this.#revoke(next.leaseId, {}).catch(() => undefined);
            throw error;
          }
          return next;
        },
        renew: async (leaseId) => {
          const renewed = await this.#step(path, 'renew', (call) => core.provider.renew?.(leaseId, ttlMs, call), {});
          await record('lease:renew');
          return renewed ?? { ttlMs: 0 };
        },
        revoke: async (leaseId, options) => {
          await this.#revoke(leaseId, options, path);
          await record('lease:revoke');
        },
        loaded: (value) => core.live.add(value),
        renewed: ({ leaseId, expiresAt }) => events.emit('lease:renewed', { path, leaseId, expiresAt }),
        replaced: ({ leaseId, expiresAt }) => events.emit('lease:replaced', { path, leaseId, expiresAt }),
        lost: ({ leaseId }, code) => {
          if (renew) lifecycle.degrade(`The lease on ${path} was lost: ${code ?? 'its time is over'}.`);
          events.emit('lease:lost', { path, leaseId, code });
        },
        ended: (ended) => void this.#leases.delete(ended as RenewingLease),
      },
      path,
      issued,
      renew,
    );
    this.#leases.add(lease);
    return lease;
  }

  async #issue(path: string, ttlMs: number | undefined, options: CallOptions): Promise<IssuedSecret> {
    const { signal, timeoutMs } = options;
    const issued = await this.#step(path, 'issue', (call) => this.#core.provider.issue?.(path, ttlMs, call), {
      signal,
      timeoutMs,
    });
    if (issued !== undefined) return issued;
    throw coreError('MNOPS_CORE_RESPONSE_INVALID', `The provider ${this.#core.provider.id} issued nothing.`);
  }

  async #revoke(leaseId: string, options: CallOptions, path = leaseId): Promise<void> {
    await this.#step(path, 'revoke', (call) => this.#core.provider.revoke?.(leaseId, call), options);
  }

  #step<T>(
    path: string,
    step: string,
    run: (call: Call) => Promise<T> | undefined,
    options: CallOptions,
  ): Promise<T | undefined> {
    return traced('mnops:secrets:lease-step', { provider: this.#core.provider.id, path, step }, async (context) => {
      const result = await this.#core.provide(options, async (call) => run(call));
      context['outcome'] = 'ok';
      return result;
    });
  }
}
