import type { EventHub } from '@mnops/core/lifecycle';
import type { Call, CallOptions, SecretProvider, SecretRecord, SecretValue, Timer } from '@mnops/core/spi';
import type { AuditRecorder } from '../audit/recorder.js';
import type { SecretsEvents } from '../events.js';
import type { Settings } from '../settings.js';

/** What the watch works with. */
export interface ExpiryContext {
  readonly settings: Settings;
  readonly provider: SecretProvider;
  readonly recorder: AuditRecorder;
  readonly events: EventHub<SecretsEvents>;
  provide<T>(options: CallOptions, run: (call: Call) => Promise<T>): Promise<T>;
}

interface Expiry {
  readonly version: string;
  readonly expiresAtMs: number;
  told: boolean;
}

const maxKnown = 10_000;
/** Wall clocks are set, and machines sleep: however far an expiry is, it is looked at again. */
const longestWaitMs = 3_600_000;

/**
 * Knows when the current versions expire that this manager has seen, and tells once before each. When there are more than
 * 10,000, the one that was seen first is forgotten until it is seen again.
 */
export class ExpiryWatch {
  readonly #core: ExpiryContext;
  readonly #known = new Map<string, Expiry>();
  #timer: Timer | undefined;
  #timerAtMs = Number.POSITIVE_INFINITY;
  #closed = false;

  constructor(core: ExpiryContext) {
    this.#core = core;
  }

  /** Looks through the list of a provider whose data is here, or of any where that is wanted. */
  start(): void {
    const { expiry } = this.#core.settings;
    const { capabilities, recoverable } = this.#core.provider;
    const isHere = recoverable !== undefined || !capabilities.durable;
    if (expiry === undefined || !capabilities.list || !(expiry.checkAtStart ?? isHere)) return;
    // Nobody waits for it, and reads tell of what it misses.
    void this.#look().catch(() => undefined);
  }

  async #look(): Promise<void> {
    const { provider, recorder } = this.#core;
    await recorder.record({ actor: 'host', operation: 'list', path: '*' });
    await this.#core.provide({}, async (call) => {
      for await (const record of provider.list('', call)) this.noted(record);
    });
  }

  /** Takes note of a value that came from the provider. */
  loaded({ path, version, stages, expiresAt }: SecretValue): void {
    if (stages.includes('current')) this.#note(path, version, expiresAt?.getTime());
  }

  /** Takes note of facts that came from the provider. */
  noted({ path, version, expiresAtMs, deletedAtMs }: SecretRecord): void {
    if (version === undefined || deletedAtMs !== undefined) this.forget(path);
    else this.#note(path, version, expiresAtMs);
  }

  forget(path: string): void {
    this.#known.delete(path);
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#known.clear();
  }

  #note(path: string, version: string, expiresAtMs: number | undefined): void {
    const { expiry, clock } = this.#core.settings;
    if (expiry === undefined || this.#closed) return;
    const before = this.#known.get(path);
    if (before?.version === version && before.expiresAtMs === expiresAtMs) return;
    this.#known.delete(path);
    if (expiresAtMs === undefined || expiresAtMs <= clock.now()) return;
    this.#known.set(path, { version, expiresAtMs, told: false });
    const [oldest] = this.#known.keys();
    if (this.#known.size > maxKnown && oldest !== undefined) this.#known.delete(oldest);
    this.#wait(expiresAtMs - expiry.warnBeforeMs - clock.now());
  }

  #wait(ms: number): void {
    const { clock } = this.#core.settings;
    const waitMs = Math.min(longestWaitMs, Math.max(0, ms));
    const atMs = clock.monotonic() + waitMs;
    if (atMs >= this.#timerAtMs) return;
    this.#timer?.cancel();
    this.#timerAtMs = atMs;
    this.#timer = clock.setTimer(waitMs, () => this.#tell());
  }

  /** Tells of what is due, and waits for the next. */
  #tell(): void {
    this.#timerAtMs = Number.POSITIVE_INFINITY;
    const { expiry, clock } = this.#core.settings;
    if (expiry === undefined || this.#closed) return;
    const now = clock.now();
    let nextMs = Number.POSITIVE_INFINITY;
    for (const [path, known] of this.#known) {
      const { version, expiresAtMs, told } = known;
      if (expiresAtMs <= now) this.#known.delete(path);
      else if (told) continue;
      else if (now >= expiresAtMs - expiry.warnBeforeMs) {
        known.told = true;
        void this.#confirm(path, version, expiresAtMs);
      } else nextMs = Math.min(nextMs, expiresAtMs - expiry.warnBeforeMs - now);
    }
    if (Number.isFinite(nextMs)) this.#wait(nextMs);
  }

  /** Asks whether it is still so: another process may have stored a new version meanwhile. */
  async #confirm(path: string, version: string, expiresAtMs: number): Promise<void> {
    try {
      const record = await this.#core.provide({}, (call) => this.#core.provider.describe(path, call));
      if (record === undefined) this.forget(path);
      else this.noted(record);
      if (record?.version !== version || record.expiresAtMs !== expiresAtMs) return;
    } catch {
      // Rather a warning too many than none.
    }
    if (!this.#closed) this.#core.events.emit('expiry:neared', { path, version, expiresAt: new Date(expiresAtMs) });
  }
}
