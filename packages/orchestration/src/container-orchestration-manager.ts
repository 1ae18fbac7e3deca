import { codeOf, coreError, MnopsError, systemClock, withCall } from '@mnops/core';
import { type AuditLog, openAuditLog } from '@mnops/core/audit';
import { type ConfigIssue, configError, parseOptions } from '@mnops/core/config';
import { type EventHub, eventHub, Lifecycle, processHooks } from '@mnops/core/lifecycle';
import { type OperationFields, traced } from '@mnops/core/operations';
import type {
  Call,
  CallOptions,
  Clock,
  HealthReport,
  HealthSource,
  HostStatus,
  LogSource,
  MetricSource,
  OrchestrationProvider,
  ServiceConfig,
} from '@mnops/core/spi';
import { checkCall } from './call-options.js';
import type { DeploymentConfig, OrchestrationOperation, OrchestrationResult } from './deployment.js';
import { type OrchestrationEvents, orchestrationEvents, type RolloutEvent } from './events.js';
import { configSchema, type OrchestrationConfig } from './orchestration-config.js';
import { orchestrationError } from './orchestration-error.js';
import { type OrchestrationPlan, planOf } from './plan.js';
import { local } from './providers/local/index.js';
import { factsOf, joined, namesOf } from './results.js';
import { configOf, withRevision } from './rollout/record.js';
import { ServiceRegistry, stateError } from './service-registry.js';
import { inDependencyOrder } from './spec/order.js';
import { revisionOf } from './spec/revision.js';
import { reportOf } from './status/health.js';
import { type Revision, type ServiceStatus, statusOf } from './status/service-status.js';
import { watchEvents } from './status/watch.js';

/** Counters of a host. */
export interface OrchestrationStats {
  readonly services: number;
  readonly instances: number;
  readonly readyInstances: number;
  /** Rollouts that ended since the start, by state. */
  readonly rollouts: Readonly<Partial<Record<OrchestrationResult['state'], number>>>;
  /** Requests of all services since the start. */
  readonly requests: { readonly inFlight: number; readonly answered: number; readonly failed: number };
}

/**
 * Deploys, scales and replaces services without dropping a request.
 *
 * Construction checks the options and does no I/O. Every call but `check` needs `start()` first. A call's `signal` and
 * `timeoutMs` end the wait; a rollout that was begun goes on, and `abort()` ends it.
 */
export class ContainerOrchestrationManager implements AsyncDisposable {
  /** What instances write, for collection. */
  readonly logSource: LogSource | undefined;
  /** Request figures per service and revision. */
  readonly metricSource: MetricSource;
  /** Health of all services. */
  readonly healthSource: HealthSource;
  readonly #config: OrchestrationConfig;
  readonly #provider: OrchestrationProvider;
  readonly #clock: Clock;
  readonly #lifecycle: Lifecycle;
  readonly #events: EventHub<OrchestrationEvents> = eventHub<OrchestrationEvents>(orchestrationEvents);
  readonly #registry: ServiceRegistry;
  readonly #ended: Partial<Record<OrchestrationResult['state'], number>> = {};
  #audit: AuditLog | undefined;
  #removeHook: (() => void) | undefined;
  #graceMs = 5_000;

  /** @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID`. */
  constructor(config: OrchestrationConfig = {}) {
    this.#config = parseOptions('ContainerOrchestrationManager', configSchema, config);
    this.#provider = config.provider ?? local();
    this.#clock = config.clock ?? systemClock();
    this.logSource = this.#provider.logs;
    this.metricSource = this.#provider.router.figures;
    this.healthSource = {
      specVersion: 1,
      kind: 'health-source',
      id: 'orchestration',
      check: () => this.health(),
    };
    this.#lifecycle = new Lifecycle({
      name: 'ContainerOrchestrationManager',
      clock: this.#clock,
      start: (call) => this.#start(call),
      close: () => this.#close(),
      onStatus: (status, reasons) => this.#events.emit('status:changed', { status, reasons }),
    });
    this.#registry = new ServiceRegistry({
      provider: this.#provider,
      clock: this.#clock,
      events: this.#events,
      metricSources: this.#config.metricSources,
      secrets: this.#config.secrets,
      signal: this.#lifecycle.signal,
      degrade: (reason) => this.#lifecycle.degrade(reason),
    });
    this.#events.on('rollout:ended', ({ result }) => {
      this.#ended[result.state] = (this.#ended[result.state] ?? 0) + 1;
    });
  }

  /** Who changed what, where `audit` was not switched off. Present once the host is started. */
  get audit(): AuditLog | undefined {
    return this.#audit;
  }

  get status(): HostStatus {
    return this.#lifecycle.status;
  }

  /**
   * Services that were known run again: live instances of an earlier process are taken over, missing ones are started, and
   * rollouts that were under way go on.
   */
  async start(options?: CallOptions): Promise<void> {
    checkCall('start', options ?? {});
    return await this.#lifecycle.start(options);
  }

  /**
   * Requests in flight are answered, instances are ended. With a folder the next start brings the services back.
   *
   * @param options - `graceMs`: default 5,000.
   */
  async stop(options: { readonly graceMs?: number | undefined } = {}): Promise<void> {
    checkCall('stop', options);
    this.#graceMs = options.graceMs ?? 5_000;
    return await this.#lifecycle.stop({ graceMs: this.#graceMs });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  /** The listener is called for each event; the function that comes back removes it. */
  on<E extends keyof OrchestrationEvents & string>(
    event: E,
    listener: (value: OrchestrationEvents[E]) => void,
  ): () => void {
    return this.#events.on(event, listener);
  }

  /** Everything that is wrong with the descriptions; empty when they can be deployed here. */
  check(services: ServiceConfig | readonly ServiceConfig[]): readonly ConfigIssue[] {
    try {
      this.#registry.parse(services);
      return [];
    } catch (error) {
      if (MnopsError.is(error, 'MNOPS_CORE_CONFIG_INVALID')) return (error.details?.['issues'] ?? []) as ConfigIssue[];
      throw error;
    }
  }

  /** What a deployment would do. It changes nothing. */
  async plan(
    services: ServiceConfig | readonly ServiceConfig[],
    deployment: DeploymentConfig = {},
    options: CallOptions = {},
  ): Promise<OrchestrationPlan> {
    return await this.#do('plan', options, async () => {
      const parsed = this.#registry.parse(services);
      this.#registry.deployment(deployment);
      const order = inDependencyOrder(parsed, new Set(this.#registry.services.keys()));
      return planOf(order, deployment, (service) => this.#registry.services.get(service)?.record);
    });
  }

  /**
   * The services run as described, dependencies first; or one of them waits for a person (`state: 'paused'`).
   *
   * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID`; `MNOPS_ORCHESTRATION_ROLLED_BACK`, `_NOT_READY` or `_ABORTED` with
   * the result in `details.result`; `MNOPS_ORCHESTRATION_BUSY`, `_PORT_UNAVAILABLE`.
   */
  async deploy(
    services: ServiceConfig | readonly ServiceConfig[],
    deployment: DeploymentConfig = {},
    options: CallOptions = {},
  ): Promise<OrchestrationResult> {
    return await this.#change('mnops:orchestration:deploy', namesOf(services), options, async () => {
      const parsed = this.#registry.parse(services);
      const checked = this.#registry.deployment(deployment);
      const layers = inDependencyOrder(parsed, new Set(this.#registry.services.keys()));
      const startedAt = new Date(this.#clock.now());
      const startedMs = this.#clock.monotonic();
      // Addresses first: an instance may be told where a service is that starts after it.
      for (const config of parsed) await this.#provider.prepare(config, this.#registry.call());
      const before = new Map(parsed.map(({ name }) => [name, this.#registry.services.get(name)?.record.stable]));
      const results: OrchestrationResult[] = [];
      for (const layer of layers) {
        const ended = await Promise.allSettled(layer.map((config) => this.#registry.deployOne(config, checked)));
        const failed = ended.find((one) => one.status === 'rejected');
        for (const one of ended) if (one.status === 'fulfilled') results.push(one.value);
        if (failed !== undefined) {
          if (checked.together === true) await this.#registry.bringBack(results, before);
          throw failed.reason;
        }
      }
      if (results.length === 1) return results[0]!;
      return joined(results, startedAt, this.#clock.monotonic() - startedMs);
    });
  }

  /** So many instances run; 0 stops the service and keeps its address. `hold`: requests wait while there is none. */
  async scale(
    service: string,
    replicas: number,
    options: CallOptions & { readonly hold?: boolean | undefined } = {},
  ): Promise<OrchestrationResult> {
    if (!Number.isInteger(replicas) || replicas < 0 || replicas > 1_000) {
      const issue = { field: 'replicas', expected: 'a whole number from 0 to 1,000', received: 'another value' };
      throw configError('scale', [{ ...issue, remedy: 'Change `replicas`.' }]);
    }
    return await this.#change('mnops:orchestration:scale', service, options, async (fields) => {
      const host = this.#registry.idle(service);
      const { record } = host;
      Object.assign(fields, { from: record.replicas, to: replicas });
      const next = { ...record, replicas, hold: replicas === 0 && options.hold === true };
      return await host.drive(
        this.#registry.rollout(next, 'scale', this.#registry.stable(record), { onFailure: 'keep' }),
      );
    });
  }

  /** Every instance is replaced by a new one of the same description. */
  async restart(service: string, options: CallOptions = {}): Promise<OrchestrationResult> {
    return await this.#change('mnops:orchestration:restart', service, options, async () => {
      const host = this.#registry.idle(service);
      const { record } = host;
      const stable = this.#registry.stable(record);
      const config = configOf(record, stable)!;
      const generation = Number(/-r(\d+)$/.exec(stable)?.[1] ?? 0) + 1;
      const revision = revisionOf(config, generation);
      const next = withRevision(record, { revision, config, createdMs: this.#clock.now() });
      return await host.drive(this.#registry.rollout(next, 'restart', revision, {}));
    });
  }

  /** An older revision serves again: the one before, or the one that is named. A rollout that is under way is aborted instead. */
  async rollback(
    service: string,
    options: CallOptions & { readonly toRevision?: string | undefined } = {},
  ): Promise<OrchestrationResult> {
    checkCall('rollback', options);
    const { toRevision, signal, timeoutMs } = options;
    if (toRevision === undefined && this.#registry.known(service).record.rollout !== undefined) {
      return await this.abort(service, { signal, timeoutMs });
    }
    return await this.#change('mnops:orchestration:rollback', service, options, async (fields) => {
      const host = this.#registry.idle(service);
      const { record } = host;
      const served = record.revisions.filter(
        ({ revision, servedMs }) => revision !== record.stable && servedMs !== undefined,
      );
      served.sort((left, right) => right.servedMs! - left.servedMs!);
      const target = toRevision ?? served[0]?.revision;
      if (target === undefined || configOf(record, target) === undefined) {
        const what = target === undefined ? 'no earlier revision' : `no revision ${target}`;
        throw coreError('MNOPS_CORE_NOT_FOUND', `Service ${service} has ${what} to go back to.`, {
          remedy: 'List the known ones with revisions().',
        });
      }
      fields['revision'] = target;
      return await host.drive(this.#registry.rollout(record, 'rollback', target, {}));
    });
  }

  /** A paused canary goes on with its next step; `full`: to the end at once. */
  async promote(
    service: string,
    options: CallOptions & { readonly full?: boolean | undefined } = {},
  ): Promise<OrchestrationResult> {
    return await this.#change('mnops:orchestration:promote', service, options, async () => {
      const host = this.#registry.known(service);
      if (options.full === true) await host.interrupt('It is promoted to the end.');
      const { record } = host;
      const { rollout } = record;
      if (rollout === undefined || host.isRunning || (rollout.paused === undefined && options.full !== true)) {
        throw stateError(service, 'has no paused rollout to promote');
      }
      const skip = rollout.paused?.by === 'inconclusive' ? 1 : 0;
      const { paused: _, ...rest } = rollout;
      const next = { ...rest, step: rollout.step + skip, full: options.full ?? false };
      return await host.drive({ ...record, rollout: next });
    });
  }

  /** The canary that runs stops before its next step. */
  async pause(service: string, options: CallOptions = {}): Promise<void> {
    await this.#change('mnops:orchestration:pause', service, options, async () => {
      const host = this.#registry.known(service);
      if (!host.isRunning) throw stateError(service, 'has no rollout to pause');
      await host.pause();
    });
  }

  /** A paused rollout goes on where it stopped; a verdict that could not be given is asked for again. */
  async resume(service: string, options: CallOptions = {}): Promise<OrchestrationResult> {
    return await this.#change('mnops:orchestration:resume', service, options, async () => {
      const host = this.#registry.known(service);
      const { rollout } = host.record;
      if (rollout?.paused === undefined || host.isRunning) throw stateError(service, 'has no paused rollout to resume');
      const { paused: _, ...rest } = rollout;
      return await host.drive({ ...host.record, rollout: rest });
    });
  }

  /** The rollout ends, and the old revision serves everything. */
  async abort(service: string, options: CallOptions = {}): Promise<OrchestrationResult> {
    return await this.#change('mnops:orchestration:abort', service, options, async () => {
      const host = this.#registry.known(service);
      await host.interrupt('It was aborted.');
      const { record } = host;
      if (record.rollout === undefined) throw stateError(service, 'has no rollout to abort');
      const { paused: _, ...rest } = record.rollout;
      try {
        return await host.drive({ ...record, rollout: { ...rest, phase: 'back', aborted: true } });
      } catch (error) {
        const result = MnopsError.is(error) ? error.details?.['result'] : undefined;
        if (MnopsError.is(error, 'MNOPS_ORCHESTRATION_ABORTED') && result !== undefined)
          return result as OrchestrationResult;
        throw error;
      }
    });
  }

  /** The service and its address are gone; a service that is not known stays so. */
  async remove(service: string, options: CallOptions = {}): Promise<void> {
    await this.#change('mnops:orchestration:remove', service, options, async () => {
      await this.#registry.services.get(service)?.interrupt('The service is removed.');
      await this.#provider.remove(service, this.#registry.call());
      if (this.#registry.services.delete(service)) this.#events.emit('service:removed', { service });
    });
  }

  /** Resolves once no rollout of the service runs; one that is paused does not run. */
  async settled(service: string, options: CallOptions = {}): Promise<void> {
    await this.#do('settled', options, async () => this.#registry.services.get(service)?.settled());
  }

  /** State of a service, or `undefined` when it is not known. */
  async inspect(service: string, options: CallOptions = {}): Promise<ServiceStatus | undefined> {
    return await this.#do('inspect', options, async () => {
      const host = this.#registry.services.get(service);
      return host === undefined ? undefined : await statusOf(host.record, this.#provider, this.#registry.call());
    });
  }

  /** State of every service, by name. */
  async *list(options: CallOptions = {}): AsyncIterable<ServiceStatus> {
    checkCall('list', options);
    for (const service of [...this.#registry.services.keys()].sort()) {
      const status = await this.inspect(service, options);
      if (status !== undefined) yield status;
    }
  }

  /** Known revisions of a service, newest first. */
  async *revisions(service: string, options: CallOptions = {}): AsyncIterable<Revision> {
    checkCall('revisions', options);
    options.signal?.throwIfAborted();
    const record = this.#registry.services.get(service)?.record;
    for (const { revision, config, createdMs } of [...(record?.revisions ?? [])].reverse()) {
      yield { revision, version: config.version, createdAt: new Date(createdMs), stable: revision === record?.stable };
    }
  }

  /** Events of a service from now on, until the signal aborts. At most 1,000 wait for the reader. */
  watch(service: string, options: CallOptions = {}): AsyncIterable<RolloutEvent> {
    checkCall('watch', options);
    return watchEvents(this.#events, service, this.#clock, options.signal);
  }

  /** Health of each service in `parts`: ready instances against wanted ones. */
  async health(options: CallOptions = {}): Promise<HealthReport> {
    checkCall('health', options);
    const parts: Record<string, HealthReport> = {};
    for await (const status of this.list(options)) parts[status.name] = reportOf(status, this.#clock.now());
    const worst = (['unhealthy', 'degraded'] as const).find((state) =>
      Object.values(parts).some(({ status }) => status === state),
    );
    const own = this.#lifecycle.reasons;
    const reasons = [...own, ...Object.values(parts).flatMap((part) => part.reasons)];
    const status = worst ?? (own.length > 0 ? 'degraded' : 'healthy');
    return { status: this.#running() ? status : 'unknown', reasons, atMs: this.#clock.now(), parts };
  }

  /** Health of one service, for a plan that waits for it. */
  serviceHealth(service: string): HealthSource {
    return {
      specVersion: 1,
      kind: 'health-source',
      id: `orchestration-${service}`,
      check: async () => {
        const status = this.#running() ? await this.inspect(service) : undefined;
        if (status !== undefined) return reportOf(status, this.#clock.now());
        return { status: 'unknown', reasons: [`Service ${service} is not known.`], atMs: this.#clock.now() };
      },
    };
  }

  /** Counters since the start. */
  async stats(): Promise<OrchestrationStats> {
    let instances = 0;
    let readyInstances = 0;
    const requests = { inFlight: 0, answered: 0, failed: 0 };
    for await (const status of this.list()) {
      for (const { ready, instances: all } of status.revisions) {
        instances += all.length;
        readyInstances += ready;
      }
      requests.inFlight += status.requests.inFlight;
      requests.answered += status.requests.answered;
      requests.failed += status.requests.failed;
    }
    return {
      services: this.#registry.services.size,
      instances,
      readyInstances,
      rollouts: { ...this.#ended },
      requests,
    };
  }

  #running(): boolean {
    return this.status === 'ready' || this.status === 'degraded';
  }

  async #do<T>(operation: string, options: CallOptions, run: () => Promise<T>): Promise<T> {
    checkCall(operation, options);
    this.#lifecycle.assertUsable();
    if (!this.#running()) throw orchestrationError('MNOPS_ORCHESTRATION_STATE_INVALID', 'The host is not started.');
    const { signal, timeoutMs } = options;
    if (signal === undefined && timeoutMs === undefined) return await run();
    return await withCall({ signal, timeoutMs, clock: this.#clock }, run);
  }

  /** Runs a verb that changes something, and records who did it and how it ended before the result is given away. */
  async #change<N extends `mnops:orchestration:${OrchestrationOperation | 'pause'}`, T>(
    name: N,
    target: string,
    options: CallOptions,
    run: (fields: OperationFields<N>) => Promise<T>,
  ): Promise<T> {
    const operation = name.slice('mnops:orchestration:'.length);
    const event = { actor: this.#config.actor ?? 'application', operation, target };
    return await this.#do(operation, options, () =>
      traced(name, { service: target } as OperationFields<N>, async (fields) => {
        let result: T;
        try {
          result = await run(fields);
        } catch (error) {
          await this.#audit?.append({ ...event, outcome: 'failed', code: codeOf(error) });
          throw error;
        }
        const facts = factsOf(result);
        await this.#audit?.append({ ...event, outcome: 'ok', details: facts });
        Object.assign(fields, { outcome: facts?.['state'] ?? 'ok' });
        return result;
      }),
    );
  }

  async #start(call: Call): Promise<void> {
    const { audit, app = 'default' } = this.#config;
    if (audit !== false) this.#audit = await openAuditLog({ ...audit, service: app, clock: this.#clock });
    if (this.#config.processHooks === true) {
      this.#removeHook = processHooks().register({ name: `orchestration of ${app}`, drain: () => this.stop() });
    }
    await this.#provider.open(
      {
        secret: (reference) => this.#registry.secret(reference),
        changed: (service) => this.#registry.services.get(service)?.changed(),
        degraded: (reason) => this.#lifecycle.degrade(reason),
        recovered: (reason) => this.#lifecycle.recover(reason),
        damaged: (damage) => {
          this.#lifecycle.degrade(`${damage.file} is damaged: ${damage.records} records were lost.`);
          this.#events.emit('storage:damaged', damage);
        },
      },
      call,
    );
    await this.#registry.open(call);
  }

  async #close(): Promise<void> {
    await Promise.all([...this.#registry.services.values()].map((host) => host.settled()));
    await this.#provider.close({ graceMs: this.#graceMs });
    await this.#audit?.close();
    this.#removeHook?.();
  }
}
