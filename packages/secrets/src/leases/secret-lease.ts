import { codeOf } from '@mnops/core';
import type { CallOptions, IssuedSecret, SecretValue } from '@mnops/core/spi';
import { secretsError } from '../codes.js';
import { toSecretValue } from '../secret-value.js';
import { nextStepMs } from './renewal.js';

/** `active`: the credential works. `lost`: it could not be kept and has ended. `revoked`: it was given back. */
export type SecretLeaseStatus = 'active' | 'lost' | 'revoked';

/** A credential that the back end made for this caller. It is renewed until it is revoked or its scope ends. */
export interface SecretLease extends AsyncDisposable {
  readonly path: string;
  readonly status: SecretLeaseStatus;
  /** Names the lease at the back end; another one after the credential was replaced. */
  readonly leaseId: string;
  /** When the credential ends unless it is renewed. */
  readonly expiresAt: Date;
  /**
   * The credential.
   *
   * @throws {MnopsError} `MNOPS_SECRETS_LEASE_ENDED` once it is lost, revoked or past its time.
   */
  readonly value: SecretValue;
  /** Calls the listener when another credential takes the place of this one, which goes on working until its own end. */
  onChange(listener: (next: SecretValue, before: SecretValue) => void): () => void;
  /** The credential ends now. A second call does nothing. */
  revoke(options?: CallOptions): Promise<void>;
}

/** What to ask for. */
export interface LeaseOptions extends CallOptions {
  /** How long the credential shall live, milliseconds. Default: what the back end gives. It may give less. */
  readonly ttlMs?: number | undefined;
  /** Whether it is renewed, and replaced when it cannot be renewed any more. Default true. */
  readonly renew?: boolean | undefined;
}

/** What a lease needs of its manager. */
export interface LeaseContext {
  readonly clock: {
    now(): number;
    monotonic(): number;
    setTimer(ms: number, run: () => void): { cancel(): void };
  };
  readonly provider: string;
  readonly random: () => number;
  issue(): Promise<IssuedSecret>;
  renew(leaseId: string): Promise<{ readonly ttlMs: number }>;
  revoke(leaseId: string, options: CallOptions): Promise<void>;
  /** Hears of each credential before it is handed out. */
  loaded(value: SecretValue): void;
  renewed(lease: SecretLease): void;
  replaced(lease: SecretLease): void;
  /** The lease ended although somebody wanted it; the code says why. */
  lost(lease: SecretLease, code: string | undefined): void;
  ended(lease: SecretLease): void;
}

/** A share of the lease's first length: a renewal that grants less is the last one. */
const lastGrantShare = 0.5;

/** A lease that renews itself. */
export class RenewingLease implements SecretLease {
  readonly path: string;
  readonly #context: LeaseContext;
  readonly #renews: boolean;
  readonly #listeners = new Set<(next: SecretValue, before: SecretValue) => void>();
  #issued: IssuedSecret;
  #value: SecretValue;
  #status: SecretLeaseStatus = 'active';
  /** On the monotonic clock. */
  #endsAt: number;
  #expiresAtMs: number;
  #lastRenewal = false;
  #failures = 0;
  #timer: { cancel(): void } | undefined;
  #revoking: Promise<void> | undefined;

  constructor(context: LeaseContext, path: string, issued: IssuedSecret, renews: boolean) {
    this.path = path;
    this.#context = context;
    this.#renews = renews;
    this.#issued = issued;
    this.#value = this.#toValue(issued);
    this.#endsAt = context.clock.monotonic() + issued.ttlMs;
    this.#expiresAtMs = context.clock.now() + issued.ttlMs;
    this.#plan();
  }

  get status(): SecretLeaseStatus {
    return this.#status;
  }

  get leaseId(): string {
    return this.#issued.leaseId;
  }

  get expiresAt(): Date {
    return new Date(this.#expiresAtMs);
  }

  get value(): SecretValue {
    if (this.#status === 'active' && this.#context.clock.monotonic() < this.#endsAt) return this.#value;
    const why = this.#status === 'revoked' ? 'was revoked' : 'has ended';
    throw secretsError('MNOPS_SECRETS_LEASE_ENDED', `The lease on ${this.path} ${why}.`, {
      details: { path: this.path, status: this.#status },
    });
  }

  onChange(listener: (next: SecretValue, before: SecretValue) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  revoke(options: CallOptions = {}): Promise<void> {
    this.#revoking ??= this.#revoke(options).catch((error: unknown) => {
      this.#revoking = undefined;
      throw error;
    });
    return this.#revoking;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.revoke();
  }

  /** Nothing is renewed any more; the credential ends by itself. */
  release(): void {
    this.#end(this.#status === 'active' ? 'revoked' : this.#status);
  }

  async #revoke(options: CallOptions): Promise<void> {
    const { leaseId } = this.#issued;
    const wasActive = this.#status === 'active';
    this.#end(wasActive ? 'revoked' : this.#status);
    if (wasActive) await this.#context.revoke(leaseId, options);
  }

  #end(status: SecretLeaseStatus): void {
    this.#status = status;
    this.#timer?.cancel();
    this.#context.ended(this);
  }

  #plan(): void {
    const { clock, random } = this.#context;
    const now = clock.monotonic();
    const waitMs = this.#renews
      ? nextStepMs({ now, endsAt: this.#endsAt, failures: this.#failures, random: random() })
      : Math.max(0, this.#endsAt - now);
    this.#timer = clock.setTimer(waitMs, () => void this.#step());
  }

  async #step(): Promise<void> {
    let code: string | undefined;
    if (this.#renews) {
      try {
        // The credential may be revoked while this waits: what comes back then is not taken.
        if (this.#issued.renewable && !this.#lastRenewal) await this.#renew();
        else await this.#replace();
        this.#failures = 0;
      } catch (error) {
        code = codeOf(error);
        this.#failures += 1;
        // What the back end has forgotten cannot be renewed; another credential can be had at once.
        if (code === 'MNOPS_CORE_NOT_FOUND') this.#lastRenewal = true;
      }
    }
    if (this.#status !== 'active') return;
    if (this.#context.clock.monotonic() >= this.#endsAt) {
      this.#end('lost');
      this.#context.lost(this, code);
      return;
    }
    this.#plan();
  }

  async #renew(): Promise<void> {
    const { leaseId, ttlMs: first } = this.#issued;
    const { clock } = this.#context;
    const { ttlMs } = await this.#context.renew(leaseId);
    if (this.#status !== 'active') return;
    this.#lastRenewal = ttlMs < first * lastGrantShare;
    this.#endsAt = clock.monotonic() + ttlMs;
    this.#expiresAtMs = clock.now() + ttlMs;
    this.#context.renewed(this);
  }

  async #replace(): Promise<void> {
    const { clock } = this.#context;
    const issued = await this.#context.issue();
    if (this.#status !== 'active') {
      await this.#context.revoke(issued.leaseId, {}).catch(() => undefined);
      return;
    }
    const before = this.#value;
    this.#issued = issued;
    this.#value = this.#toValue(issued);
    this.#lastRenewal = false;
    this.#endsAt = clock.monotonic() + issued.ttlMs;
    this.#expiresAtMs = clock.now() + issued.ttlMs;
    for (const listener of [...this.#listeners]) {
      try {
        listener(this.#value, before);
      } catch (error) {
        process.emitWarning(`A listener of the lease on ${this.path} failed: ${codeOf(error) ?? 'unknown reason'}`);
      }
    }
    this.#context.replaced(this);
  }

  #toValue({ value, leaseId, contentType }: IssuedSecret): SecretValue {
    const made = toSecretValue(this.path, this.#context.provider, { value, version: leaseId, stages: [], contentType });
    this.#context.loaded(made);
    return made;
  }
}
