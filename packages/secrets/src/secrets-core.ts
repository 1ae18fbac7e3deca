import { codeOf, withCall } from '@mnops/core';
import { type EventHub, eventHub, Lifecycle } from '@mnops/core/lifecycle';
import { traced } from '@mnops/core/operations';
import { type RetryBudget, retry, retryBudget } from '@mnops/core/resilience';
import type { Call, CallOptions, SecretProvider } from '@mnops/core/spi';
import { type AccessPolicy, accessPolicy, type SecretAction } from './access/policy.js';
import { AuditRecorder } from './audit/recorder.js';
import { type SecretsEvents, secretsEvents } from './events.js';
import { LeaseSet } from './leases/lease-set.js';
import { assertPath } from './path.js';
import { ChangeFollower } from './read/follower.js';
import { HandleSet } from './read/handle-set.js';
import { SecretReader } from './read/reader.js';
import { LiveValues } from './redaction/live-values.js';
import type { Settings } from './settings.js';
import { type ChangeFeed, changeFeed } from './store/change-feed.js';
import { ExpiryWatch } from './write/expiry-watch.js';

/** What an operation says about itself while it runs. */
export interface OperationFacts {
  version?: string | undefined;
  cached?: boolean | undefined;
}

/** What the operations of every actor share: the collaborators of one manager. */
export class SecretsCore {
  readonly settings: Settings;
  readonly provider: SecretProvider;
  readonly policy: AccessPolicy;
  readonly recorder: AuditRecorder;
  readonly reader: SecretReader;
  readonly handles: HandleSet = new HandleSet();
  readonly leases: LeaseSet;
  readonly live: LiveValues = new LiveValues();
  readonly expiries: ExpiryWatch;
  readonly events: EventHub<SecretsEvents> = eventHub<SecretsEvents>(secretsEvents);
  readonly lifecycle: Lifecycle;
  readonly #budget: RetryBudget;
  /** What the provider tells of changes, for whoever watches. */
  readonly feed: ChangeFeed = changeFeed();
  readonly #follower: ChangeFollower;
  readonly #ended = new AbortController();
  #unfollowed: string | undefined;
  #opening: Promise<void> | undefined;
  #wasOpening = false;
  /** As many as a provider lists, which is bounded. */
  readonly #damageSeen = new Set<string>();

  constructor(
    settings: Settings,
    life: { start(call: Call): Promise<void>; drain(call: Call): Promise<void>; close(): Promise<void> },
  ) {
    const { provider, clock } = settings;
    this.settings = settings;
    this.provider = provider;
    this.policy = accessPolicy(settings.access);
    this.recorder = new AuditRecorder({
      config: settings.audit,
      pathKey: settings.pathKey,
      reads: settings.reads,
      provider: provider.id,
      service: settings.service,
      clock,
    });
    this.leases = new LeaseSet(this);
    this.expiries = new ExpiryWatch(this);
    this.#follower = new ChangeFollower({
      provider,
      clock,
      random: Math.random,
      changed: (path) => this.#changedOutside(path),
      trouble: (reason) => this.#follows(reason),
    });
    this.#budget = retryBudget({ perSecond: settings.budgetPerSecond, clock });
    this.reader = new SecretReader({
      provider,
      opened: () => this.opened(),
      cache: settings.cache,
      retry: settings.retry,
      budget: this.#budget,
      clock,
      timeoutMs: settings.timeoutMs,
      random: Math.random,
      onLoaded: (value) => {
        this.live.add(value);
        this.expiries.loaded(value);
      },
    });
    this.lifecycle = new Lifecycle({
      name: 'SecretsManager',
      ...life,
      clock,
      onStatus: (status, reasons) => this.events.emit('status:changed', { status, reasons }),
    });
  }

  /** Aborts when the manager is closed. */
  get ended(): AbortSignal {
    return this.#ended.signal;
  }

  #follows(trouble: string | undefined): void {
    if (this.#unfollowed !== undefined && this.#unfollowed !== trouble) this.lifecycle.recover(this.#unfollowed);
    this.#unfollowed = trouble;
    if (trouble !== undefined) this.lifecycle.degrade(trouble);
  }

  /** The provider is open and its changes are followed. */
  opened(): Promise<void> {
    this.#wasOpening = true;
    this.#opening ??= this.#open().catch((error: unknown) => {
      this.#opening = undefined;
      throw error;
    });
    return this.#opening;
  }

  async #open(): Promise<void> {
    const { timeoutMs, clock } = this.settings;
    await withCall({ timeoutMs, clock }, async (call) => this.provider.open?.(call));
    if (this.provider.watch !== undefined && this.provider.capabilities.watch !== 'none') this.#follower.start();
    this.reportDamage();
  }

  #changedOutside(path: string | undefined): void {
    if (path === undefined) this.reader.invalidateAll();
    else this.reader.invalidate(path);
    this.reportDamage();
    this.events.emit('secret:changed', { path });
    this.feed.publish({ path });
    void this.handles.refresh(path);
  }

  /** Tells of damage that was found since the last look. */
  reportDamage(): void {
    for (const each of this.provider.damage?.() ?? []) {
      const name = `${each.file}:${each.offset}:${each.path ?? ''}`;
      if (this.#damageSeen.has(name)) continue;
      this.#damageSeen.add(name);
      this.events.emit('storage:damaged', each);
      const about =
        each.path === undefined ? '' : ` The newest of them changed ${each.path}: an older state is in use.`;
      this.lifecycle.degrade(
        `${each.records} records of ${each.file} are lost at byte ${each.offset}.${about} ${each.remedy}`,
      );
    }
  }

  /** Runs work on the open provider under a deadline, repeated as the retry settings say. It must bear repetition. */
  provide<T>(options: CallOptions, run: (call: Call) => Promise<T>): Promise<T> {
    const { timeoutMs = this.settings.timeoutMs, signal } = options;
    const { clock } = this.settings;
    return withCall({ signal, timeoutMs, clock }, async (call) => {
      await this.opened();
      return await this.retried(call, () => run(call));
    });
  }

  retried<T>(call: Call, run: () => Promise<T>): Promise<T> {
    const { retry: settings, clock } = this.settings;
    return retry(run, {
      ...settings,
      signal: call.signal,
      clock,
      budget: this.#budget,
      remainingMs: () => call.remainingMs(),
    });
  }

  /**
   * One operation of an actor: usable, well-formed, allowed, run, published, recorded exactly once. What cannot be
   * recorded is not handed out.
   */
  async operate<T>(
    actor: string,
    action: Exclude<SecretAction, 'rotate' | 'audit'>,
    path: string,
    run: (facts: OperationFacts) => Promise<T>,
  ): Promise<T> {
    this.lifecycle.assertUsable();
    assertPath(path);
    await this.recorder.ready();
    return await traced(channelOf(action), { path, provider: this.provider.id }, async (context) => {
      const facts: OperationFacts = {};
      let code: string | undefined;
      try {
        this.policy.assertAllowed(actor, action, path);
        return await run(facts);
      } catch (error) {
        code = codeOf(error) ?? 'unknown';
        throw error;
      } finally {
        // A part of the operation, which fails with it: what cannot be recorded is not handed out.
        await this.recorder.record({ actor, operation: action, path, ...facts, code });
        if (facts.version !== undefined) context['version'] = facts.version;
        if (facts.cached !== undefined) context['cached'] = facts.cached;
        if (code === undefined) context['outcome'] = 'ok';
      }
    });
  }

  /** What was read of the path before does not count any more, and handles follow. */
  async changed(path: string): Promise<void> {
    this.reader.invalidate(path);
    await this.handles.refresh(path);
  }

  async close(): Promise<void> {
    this.#ended.abort();
    this.#follower.stop();
    this.feed.close();
    this.handles.close();
    this.leases.release();
    this.expiries.close();
    this.reader.invalidateAll();
    this.live.clear();
    await this.#opening?.catch(() => undefined);
    try {
      await this.recorder.close();
    } finally {
      const { clock } = this.settings;
      // Also when it did not open: a composite then has members that did, and nobody else closes them.
      if (this.#wasOpening) await withCall({ timeoutMs: 5_000, clock }, async (call) => this.provider.close?.(call));
    }
  }
}

/** The channel of what an actor does; rotations and looks into the audit log are no actor's. */
function channelOf(action: Exclude<SecretAction, 'rotate' | 'audit'>) {
  if (action === 'read') return 'mnops:secrets:read';
  if (action === 'list') return 'mnops:secrets:list';
  if (action === 'lease') return 'mnops:secrets:lease';
  return action === 'delete' ? 'mnops:secrets:delete' : 'mnops:secrets:write';
}
