import { coreError, systemClock, withCall } from '@mnops/core';
import { serviceIdentity } from '@mnops/core/config';
import { type EventNames, eventHub, Lifecycle } from '@mnops/core/lifecycle';
import type {
  CallOptions,
  Clock,
  HealthReport,
  HealthSource,
  HostStatus,
  MetricQuery,
  MetricSample,
  MetricSource,
  Notification,
  Notifier,
  ServiceIdentity,
  Timer,
} from '@mnops/core/spi';
import { checkConfig, checkQueryCall, checkRules, type MonitoringConfig } from './config.js';
import { MetricRegistry } from './metrics/registry.js';
import { type DeliveryEvent, Dispatcher } from './notify/dispatcher.js';
import { notificationOf } from './notify/notification.js';
import type { ActiveAlert, ResolvedAlert, RuleGroup } from './rules/alert-rule.js';
import { type GroupObserver, GroupRunner } from './rules/group-runner.js';
import { healthOf } from './source/alert-health.js';
import { registrySource } from './source/registry-source.js';
import { SampleHistory } from './source/sample-history.js';

/** Events of a `MonitoringStackManager`. */
export interface MonitoringEvents {
  readonly 'alert:pended': ActiveAlert;
  readonly 'alert:fired': ActiveAlert;
  readonly 'alert:resolved': ResolvedAlert;
  readonly 'rule:failed': {
    readonly group: string;
    readonly alert: string;
    readonly code: string;
    readonly error: unknown;
  };
  readonly 'rule:recovered': { readonly group: string; readonly alert: string };
  readonly 'notification:sent': DeliveryEvent;
  readonly 'notification:failed': DeliveryEvent;
}

/** Their names. */
const monitoringEvents: EventNames<MonitoringEvents> = {
  'alert:pended': true,
  'alert:fired': true,
  'alert:resolved': true,
  'rule:failed': true,
  'rule:recovered': true,
  'notification:sent': true,
  'notification:failed': true,
};

/** Counters of a `MonitoringStackManager`. */
export interface MonitoringStats {
  readonly evaluations: number;
  /** Evaluations left out because the one before took too long or the process slept. */
  readonly missedTicks: number;
  readonly alertsActive: number;
  readonly notificationsSent: number;
  readonly notificationsFailed: number;
  readonly notificationsQueued: number;
  readonly historyBytes: number;
  /** Series that found no room in the history at the last sample. */
  readonly historyLeftOut: number;
}

/**
 * Metrics, alert rules and notifications in this process, with no server.
 *
 * Recording works at once; `start()` begins to sample and to evaluate. Rules may ask any metric source that was given.
 */
export class MonitoringStackManager implements AsyncDisposable {
  /** The metrics of this program. */
  readonly metrics: MetricRegistry;
  /** Answers structured queries over the own registry, for other packages. */
  readonly metricSource: MetricSource;
  /** Judges by the alerts that fire, for other packages. */
  readonly healthSource: HealthSource;
  /** All channels of this host as one, for other packages. */
  readonly notifier: Notifier;
  /** Who this program is. */
  readonly identity: ServiceIdentity;
  readonly #config: MonitoringConfig;
  readonly #clock: Clock;
  readonly #history: SampleHistory;
  readonly #lifecycle: Lifecycle;
  readonly #events = eventHub<MonitoringEvents>(monitoringEvents);
  readonly #dispatcher: Dispatcher;
  readonly #repeats = new Map<string, Timer>();
  #runners: readonly GroupRunner[] = [];
  #rules: readonly RuleGroup[];
  #sampling: Timer | undefined;
  #sent = 0;
  #failed = 0;
  #ended = { evaluations: 0, missed: 0 };

  /**
   * Checks the configuration; does no I/O and starts nothing.
   *
   * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID` with all issues at once.
   */
  constructor(config: MonitoringConfig = {}) {
    checkConfig(config);
    this.#config = config;
    this.#rules = config.rules ?? [];
    this.#clock = config.clock ?? systemClock();
    this.identity = serviceIdentity(config.service);
    this.metrics = MetricRegistry.is(config.metrics) ? config.metrics : new MetricRegistry(config.metrics);
    this.#history = new SampleHistory(this.metrics, this.#clock, {
      windowMs: config.history?.windowMs ?? 300_000,
      everyMs: this.#tickMs,
      maxBytes: config.history?.maxBytes ?? 16 * 1_024 * 1_024,
    });
    this.metricSource = registrySource(this.metrics, this.#history, this.#clock, impliedLabels(this.identity));
    this.healthSource = this.#makeHealthSource();
    this.#dispatcher = this.#makeDispatcher();
    this.notifier = this.#makeNotifier();
    this.#lifecycle = new Lifecycle({
      name: 'monitoring',
      clock: this.#clock,
      start: async () => this.#begin(),
      drain: (call) => this.#end(call.remainingMs()),
    });
  }

  /** State of the host. */
  get status(): HostStatus {
    return this.#lifecycle.status;
  }

  /** Begins to sample the registry and to evaluate rules. A second call joins the first. */
  start(options?: CallOptions): Promise<void> {
    return this.#lifecycle.start(options);
  }

  /** Ends sampling and evaluation, and waits up to `graceMs` (default 10_000) for queued notifications. */
  stop(options: { readonly graceMs?: number | undefined } = {}): Promise<void> {
    return this.#lifecycle.stop(options);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  /** Calls the listener at each event; the returned function removes it. */
  on<E extends keyof MonitoringEvents>(event: E, listener: (value: MonitoringEvents[E]) => void): () => void {
    return this.#events.on(event, listener);
  }

  /** Alerts that are pending or firing at this moment. */
  alerts(): readonly ActiveAlert[] {
    return this.#runners.flatMap((runner) => runner.active());
  }

  /**
   * Asks a metric source.
   *
   * @param options - `source`: key in `metricSources`; default the own registry. `atMs`: default now.
   * @throws {MnopsError} `MNOPS_CORE_NOT_FOUND` for an unknown source, and whatever the source rejects with.
   */
  async query(
    query: MetricQuery,
    options: CallOptions & { readonly source?: string | undefined; readonly atMs?: number | undefined } = {},
  ): Promise<readonly MetricSample[]> {
    const name = options.source ?? 'registry';
    const source = this.#sources()[name];
    if (source === undefined) {
      throw coreError('MNOPS_CORE_NOT_FOUND', `There is no metric source \`${name}\`.`, {
        remedy: `Known are ${Object.keys(this.#sources()).join(', ')}.`,
        details: { field: 'source' },
      });
    }
    checkQueryCall(query, options, source.capabilities);
    const { secrets } = this.#config;
    return withCall({ timeoutMs: 10_000, ...options, secrets, clock: this.#clock }, (call) =>
      source.query(query, options.atMs === undefined ? call : { ...call, atMs: options.atMs }),
    );
  }

  /**
   * Replaces the rules: checked first, all or nothing. Alerts of the old rules resolve silently where the new rules do
   * not hold them.
   *
   * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID`; the old rules go on then.
   */
  async reload(next: { readonly rules: readonly RuleGroup[] }): Promise<void> {
    checkConfig({ ...this.#config, rules: next.rules });
    checkRules(next.rules, this.#config.metricSources ?? {}, this.#config.history?.windowMs ?? 300_000);
    this.#rules = next.rules;
    if (this.status !== 'ready' && this.status !== 'degraded') return;
    await this.#stopRunners();
    this.#startRunners();
  }

  /** A judgement of this host itself: sources that fail and channels that do not deliver make it `degraded`. */
  async health(): Promise<HealthReport> {
    const reasons = [...this.#lifecycle.reasons];
    const status = this.status === 'ready' ? 'healthy' : this.status === 'degraded' ? 'degraded' : 'unknown';
    return { status, reasons, atMs: this.#clock.now() };
  }

  /** Counters since the start. */
  stats(): MonitoringStats {
    const total = (figure: 'evaluations' | 'missed'): number =>
      this.#runners.reduce((sum, runner) => sum + runner[figure], this.#ended[figure]);
    return {
      evaluations: total('evaluations'),
      missedTicks: total('missed'),
      alertsActive: this.alerts().length,
      notificationsSent: this.#sent,
      notificationsFailed: this.#failed,
      notificationsQueued: this.#dispatcher.queued,
      historyBytes: this.#history.bytes,
      historyLeftOut: this.#history.left,
    };
  }

  get #tickMs(): number {
    return this.#config.tickMs ?? 500;
  }

  #sources(): Readonly<Record<string, MetricSource>> {
    return { ...this.#config.metricSources, registry: this.metricSource };
  }

  #begin(): void {
    this.#history.sample();
    const tick = (): void => {
      this.#sampling = this.#clock.setTimer(this.#tickMs, () => {
        this.#history.sample();
        tick();
      });
    };
    tick();
    this.#startRunners();
  }

  async #end(graceMs: number): Promise<void> {
    this.#sampling?.cancel();
    await this.#stopRunners();
    for (const timer of this.#repeats.values()) timer.cancel();
    this.#repeats.clear();
    await this.#dispatcher.drain(graceMs, this.#clock);
  }

  #startRunners(): void {
    const context = {
      clock: this.#clock,
      sources: this.#sources(),
      secrets: this.#config.secrets,
      tickMs: this.#tickMs,
      observer: this.#observer(),
    };
    this.#runners = this.#rules.map((group) => new GroupRunner(group, context));
    for (const runner of this.#runners) runner.start();
  }

  async #stopRunners(): Promise<void> {
    const ending = this.#runners;
    await Promise.all(ending.map((runner) => runner.stop()));
    for (const { evaluations, missed } of ending) {
      this.#ended = { evaluations: this.#ended.evaluations + evaluations, missed: this.#ended.missed + missed };
    }
    this.#runners = [];
  }

  #observer(): GroupObserver {
    return {
      pending: (alert) => this.#events.emit('alert:pended', alert),
      fired: (alert) => {
        this.#events.emit('alert:fired', alert);
        this.#dispatcher.send(notificationOf(alert));
        this.#repeat(alert.key);
      },
      resolved: (alert) => {
        this.#repeats.get(alert.key)?.cancel();
        this.#repeats.delete(alert.key);
        this.#events.emit('alert:resolved', alert);
        this.#dispatcher.send(notificationOf(alert));
      },
      failed: (rule) => {
        this.#lifecycle.degrade(`rule ${rule.group}/${rule.alert} cannot be evaluated (${rule.code})`);
        this.#events.emit('rule:failed', rule);
      },
      recovered: (rule) => {
        for (const reason of this.#lifecycle.reasons) {
          if (reason.startsWith(`rule ${rule.group}/${rule.alert} `)) this.#lifecycle.recover(reason);
        }
        this.#events.emit('rule:recovered', rule);
      },
    };
  }

  /** Sends a firing alert again after the repeat interval, as long as it fires. */
  #repeat(key: string): void {
    const timer = this.#clock.setTimer(this.#config.repeatIntervalMs ?? 14_400_000, () => {
      const alert = this.alerts().find((active) => active.key === key && active.state === 'firing');
      if (alert === undefined) return;
      this.#dispatcher.send(notificationOf(alert));
      this.#repeat(key);
    });
    this.#repeats.set(key, timer);
  }

  #makeDispatcher(): Dispatcher {
    const { notifiers = [], limits = {}, secrets } = this.#config;
    return new Dispatcher(notifiers, {
      clock: this.#clock,
      secrets,
      maxQueued: limits.queuedNotifications ?? 1_000,
      deliveryTimeoutMs: limits.deliveryTimeoutMs ?? 60_000,
      sent: (event) => {
        this.#sent++;
        this.#lifecycle.recover(undelivered(event.notifier));
        this.#events.emit('notification:sent', event);
      },
      failed: (event) => {
        this.#failed++;
        this.#lifecycle.degrade(undelivered(event.notifier));
        this.#events.emit('notification:failed', event);
      },
    });
  }

  #makeHealthSource(): HealthSource {
    return {
      specVersion: 1,
      kind: 'health-source',
      id: 'monitoring-alerts',
      check: async () => healthOf(this.alerts(), this.#config.health ?? {}, this.#clock.now(), this.status),
    };
  }

  #makeNotifier(): Notifier {
    return {
      specVersion: 1,
      kind: 'notifier',
      id: 'monitoring',
      capabilities: { resolved: true, threads: false, maxBytes: 65_536 },
      send: async (notification: Notification) => this.#dispatcher.send(notification),
    };
  }
}

function undelivered(notifier: string): string {
  return `channel ${notifier} does not deliver`;
}

/** Labels that the own series have by who this program is, unless they carry them. */
function impliedLabels(identity: ServiceIdentity): Readonly<Record<string, string>> {
  const labels: Record<string, string> = { service: identity.name };
  if (identity.version !== undefined) labels['version'] = identity.version;
  if (identity.instance !== undefined) labels['service_instance'] = identity.instance;
  return labels;
}
