import { randomUUID } from 'node:crypto';
import { callOf, coreError, type MnopsError } from '@mnops/core';
import { type ConfigIssue, configError, parseOptions } from '@mnops/core/config';
import type { EventHub } from '@mnops/core/lifecycle';
import type { Call, Clock, MetricSource, OrchestrationProvider, SecretResolver, ServiceConfig } from '@mnops/core/spi';
import type { DeploymentConfig, OrchestrationOperation, OrchestrationResult } from './deployment.js';
import { deploymentSchema } from './deployment-schema.js';
import type { OrchestrationEvents } from './events.js';
import { orchestrationError } from './orchestration-error.js';
import { configOf, parseRecord, type RolloutRecord, type ServiceRecord, withRevision } from './rollout/record.js';
import { withAnalysis } from './rollout/strategies.js';
import { ServiceHost } from './service-host.js';
import { serviceReferences } from './spec/references.js';
import { revisionOf } from './spec/revision.js';
import { noResolver, noResolverRemedy } from './spec/secret-reference.js';
import { parseServices } from './spec/service-schema.js';

/** What the services of a host are made with. */
export interface ServiceRegistryOptions {
  readonly provider: OrchestrationProvider;
  readonly clock: Clock;
  readonly events: EventHub<OrchestrationEvents>;
  readonly metricSources: Readonly<Record<string, MetricSource>> | undefined;
  readonly secrets: SecretResolver | undefined;
  /** Aborts when the host stops. */
  readonly signal: AbortSignal;
  /** Something is not as it should be, and stays so. */
  degrade(reason: string): void;
}

/** The services that a host knows, and what can be begun on them. */
export class ServiceRegistry {
  readonly services: Map<string, ServiceHost> = new Map();
  readonly #options: ServiceRegistryOptions;

  constructor(options: ServiceRegistryOptions) {
    this.#options = options;
  }

  /** Takes up what the provider kept, and goes on with what was under way. */
  async open(call: Call): Promise<void> {
    for (const [, value] of await this.#options.provider.records(call)) {
      const record = parseRecord(value);
      if (record !== undefined) this.host(record);
    }
    await this.recoverRecords(call);
    for (const host of this.services.values()) await this.restore(host, call);
  }

  parse(services: unknown): readonly ServiceConfig[] {
    const parsed = parseServices(services);
    const known = new Set([...this.services.keys(), ...parsed.map(({ name }) => name)]);
    for (const config of parsed) {
      const issues: ConfigIssue[] = this.#options.provider.check(config).map(({ field, message }) => ({
        field,
        expected: `what ${this.#options.provider.id} can run`,
        received: 'something else',
        remedy: message,
      }));
      for (const [name, value] of Object.entries(config.containers[0]?.environment ?? {})) {
        if (value.startsWith('secret://') && this.#options.secrets === undefined) {
          const field = `containers.0.environment.${name}`;
          const expected = 'a resolver for the secret:// reference';
          issues.push({ field, expected, received: 'none', remedy: noResolverRemedy });
        }
        for (const { service } of serviceReferences(value)) {
          if (known.has(service)) continue;
          const field = `containers.0.environment.${name}`;
          const remedy = `Deploy ${service} before or together with ${config.name}.`;
          issues.push({ field, expected: 'a known service', received: 'an unknown one', remedy });
        }
      }
      if (issues.length > 0) throw configError(`service ${config.name}`, issues);
    }
    return parsed;
  }

  deployment(deployment: DeploymentConfig): DeploymentConfig {
    return withAnalysis(parseOptions('the deployment', deploymentSchema, deployment));
  }

  known(service: string): ServiceHost {
    const host = this.services.get(service);
    if (host !== undefined) return host;
    throw coreError('MNOPS_CORE_NOT_FOUND', `Service ${service} is not known.`, { remedy: 'Deploy it first.' });
  }

  idle(service: string): ServiceHost {
    const host = this.known(service);
    if (host.record.rollout === undefined) return host;
    throw orchestrationError('MNOPS_ORCHESTRATION_BUSY', `A rollout of ${service} is under way.`, {
      details: { service },
    });
  }

  stable(record: ServiceRecord): string {
    if (record.stable !== undefined) return record.stable;
    throw stateError(record.service, 'has no revision that ever served');
  }

  rollout(
    record: ServiceRecord,
    operation: OrchestrationOperation,
    to: string,
    deployment: DeploymentConfig,
  ): ServiceRecord {
    const rollout: RolloutRecord = {
      id: randomUUID(),
      operation,
      from: record.stable,
      to,
      deployment,
      startedMs: this.#options.clock.now(),
      phase: 'forward',
      step: 0,
      reasons: [],
    };
    return { ...record, rollout };
  }

  async deployOne(config: ServiceConfig, deployment: DeploymentConfig): Promise<OrchestrationResult> {
    const { name, replicas = 1 } = config;
    const empty: ServiceRecord = { version: 1, service: name, replicas, revisions: [] };
    const host = this.services.get(name) ?? this.host(empty);
    if (host.record.rollout !== undefined) {
      if (deployment.onBusy === 'refuse') {
        const message = `A rollout of ${name} is under way.`;
        throw orchestrationError('MNOPS_ORCHESTRATION_BUSY', message, { details: { service: name } });
      }
      await host.interrupt('A newer deployment replaces it.');
    }
    const { rollout: replaced, ...record } = host.record;
    const base = revisionOf(config);
    const same = record.stable !== undefined && record.stable.replace(/-r\d+$/, '') === base;
    const revision = same ? record.stable! : base;
    if (same && replaced === undefined && record.replicas === replicas) return this.unchanged(record, revision);
    const known = record.revisions.find((one) => one.revision === revision);
    const next = withRevision(record, known ?? { revision, config, createdMs: this.#options.clock.now() });
    return await host.drive(this.rollout({ ...next, replicas, hold: false }, 'deploy', revision, deployment));
  }

  unchanged(record: ServiceRecord, revision: string): OrchestrationResult {
    const { service: name } = record;
    const one = {
      name,
      fromRevision: revision,
      toRevision: revision,
      changes: [],
      steps: [],
      analysis: [],
      instances: [],
    };
    return {
      rolloutId: randomUUID(),
      operation: 'deploy',
      target: this.#options.provider.id,
      state: 'unchanged',
      startedAt: new Date(this.#options.clock.now()),
      durationMs: 0,
      services: [one],
      reasons: [],
    };
  }

  /** Services that this deployment changed go back, the last one first. */
  async bringBack(
    results: readonly OrchestrationResult[],
    before: ReadonlyMap<string, string | undefined>,
  ): Promise<void> {
    for (const { services, state } of [...results].reverse()) {
      const name = services[0]?.name ?? '';
      const host = this.services.get(name);
      if (host === undefined || state === 'unchanged') continue;
      await host.interrupt('Another service of the same deployment failed.');
      const target = before.get(name);
      if (target === undefined) {
        await this.#options.provider.remove(name, this.call());
        this.services.delete(name);
      } else if (target !== host.record.stable || host.record.rollout !== undefined) {
        const { rollout: _, ...record } = host.record;
        await host.drive(this.rollout(record, 'rollback', target, {}));
      }
    }
  }

  host(record: ServiceRecord): ServiceHost {
    const host = new ServiceHost(
      {
        provider: this.#options.provider,
        clock: this.#options.clock,
        sources: { ...this.#options.metricSources, proxy: this.#options.provider.router.figures },
        events: this.#options.events,
        signal: this.#options.signal,
        secret: (reference) => this.secret(reference),
      },
      record,
    );
    this.services.set(record.service, host);
    return host;
  }

  /** A service that runs without a record lost it to damage: what runs is the best description there is. */
  async recoverRecords(call: Call): Promise<void> {
    for (const service of await this.#options.provider.services(call)) {
      if (this.services.has(service)) continue;
      const { revisions } = await this.#options.provider.observe(service, call);
      const best = [...revisions].sort((left, right) => right.desired - left.desired)[0];
      if (best === undefined) continue;
      const { revision, config, desired: replicas } = best;
      const createdMs = this.#options.clock.now();
      const known = [{ revision, config, createdMs, servedMs: createdMs }];
      await this.host({ version: 1, service, replicas, stable: revision, revisions: known }).save({
        version: 1,
        service,
        replicas,
        stable: revision,
        revisions: known,
      });
      this.#options.degrade(`The record of service ${service} was lost; it was made again from what runs.`);
    }
  }

  async restore(host: ServiceHost, call: Call): Promise<void> {
    const { record } = host;
    const { service, stable, rollout, replicas, hold = false } = record;
    if (rollout !== undefined) {
      const config = configOf(record, rollout.to);
      if (config !== undefined) await this.#options.provider.prepare(config, call);
      // It goes on by itself; its end is an event.
      if (rollout.paused === undefined) host.drive(record).catch(() => undefined);
      return;
    }
    if (stable === undefined) return;
    const config = configOf(record, stable);
    if (config === undefined) return;
    await this.#options.provider.prepare(config, call);
    for (const { revision, config: old } of (await this.#options.provider.observe(service, call)).revisions) {
      if (revision !== stable) await this.#options.provider.setReplicas({ service, revision, config: old }, 0, call);
    }
    await this.#options.provider.setReplicas({ service, revision: stable, config }, replicas, call);
    const route = await this.#options.provider.router.read(service, call);
    const shares = { by: 'instance', revisions: [stable] } as const;
    if (JSON.stringify(route) !== JSON.stringify({ shares, hold })) {
      await this.#options.provider.router.apply(service, { shares, hold }, call);
    }
  }

  async secret(reference: string): Promise<string> {
    const { secrets } = this.#options;
    if (secrets === undefined) {
      const message = 'A secret:// reference was given, but no resolver.';
      const details = { reason: noResolver };
      throw coreError('MNOPS_CORE_CONFIG_INVALID', message, { details, remedy: noResolverRemedy });
    }
    const call = callOf({ secrets, signal: this.#options.signal, clock: this.#options.clock });
    try {
      return await call.secret(reference);
    } finally {
      call.end();
    }
  }

  call(): Call {
    return {
      signal: this.#options.signal,
      remainingMs: () => Number.POSITIVE_INFINITY,
      secret: (reference) => this.secret(reference),
    };
  }
}

/** The error of a call that does not fit the state of its service. */
export function stateError(service: string, what: string): MnopsError {
  return orchestrationError('MNOPS_ORCHESTRATION_STATE_INVALID', `Service ${service} ${what}.`, {
    details: { service },
  });
}
