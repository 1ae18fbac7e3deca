import { createHash } from 'node:crypto';
import { resolve } from 'node:path';
import { MnopsError } from '@mnops/core';
import { type ProcessIdentity, processIdentity } from '@mnops/core/files';
import type {
  Clock,
  OrchestrationProviderContext,
  RevisionDescription,
  RevisionObservation,
  RouteState,
  ServiceConfig,
  ServiceObservation,
} from '@mnops/core/spi';
import type { ServiceProxy } from '../../proxy/index.js';
import { resolveReferences } from '../../spec/references.js';
import { addressUnknown, nulByte, secretNotResolved } from './environment-error.js';
import { type InstanceContext, LocalInstance } from './instance.js';
import { pruneLogs, rotateLog } from './log-files.js';
import { type PortAllocator, portAllocator } from './ports.js';
import { isRunning, killStrays, unheldSleep } from './process-handle.js';
import { type Reaper, startReaper } from './reaper.js';
import type { StateStore } from './state-store.js';

export interface SupervisorOptions {
  readonly folder: string;
  /** Whether the folder goes when the supervisor does. */
  readonly temporary: boolean;
  readonly state: StateStore;
  readonly proxy: ServiceProxy;
  readonly clock: Clock;
  readonly context: OrchestrationProviderContext;
  readonly portRange: readonly [number, number];
  readonly inherit: readonly string[];
  readonly orphanGraceMs: number;
  readonly maxLogBytes: number;
  readonly keptLogs: number;
  readonly random: () => number;
}

interface RevisionGroup {
  readonly description: RevisionDescription;
  desired: number;
  readonly instances: Set<LocalInstance>;
}

interface InstanceRecord {
  readonly service: string;
  readonly revision: string;
  readonly port?: number;
  readonly identity?: ProcessIdentity;
  readonly restarts: number;
  readonly startedMs: number;
}

const rotateEveryMs = 5_000;
const adoptionHoldMs = 5_000;
/** Instances that ended whose output is kept, per service. */
const keptEndedInstances = 20;

/** Keeps, for each revision of each service, as many processes running as are wanted. */
export class LocalSupervisor {
  readonly #options: SupervisorOptions;
  readonly #services: Map<string, Map<string, RevisionGroup>> = new Map();
  readonly #ports: PortAllocator;
  readonly #closing = new AbortController();
  #rotating: Promise<void> = Promise.resolve();
  #isClosing = false;
  readonly #reaper: Reaper;
  readonly #marker: string;
  readonly #instanceContext: InstanceContext;

  constructor(options: SupervisorOptions) {
    const { clock, folder, proxy, random } = options;
    this.#options = options;
    this.#ports = portAllocator(options.portRange, random);
    this.#marker = `MNOPS_SUPERVISOR=${createHash('sha256').update(resolve(folder)).digest('hex').slice(0, 16)}`;
    this.#reaper = startReaper(options.orphanGraceMs, options.temporary ? folder : '');
    this.#instanceContext = {
      clock,
      marker: this.#marker,
      signal: this.#closing.signal,
      folder,
      proxy,
      ports: this.#ports,
      reaper: this.#reaper,
      random,
      environment: (description, instance, port) => this.#environment(description, instance, port),
      keep: (instance) => this.#keep(instance),
      forget: (instance) => this.#forget(instance),
      changed: (service) => options.context.changed(service),
    };
  }

  /** Takes over what an earlier supervisor of the folder left, and starts what is missing. Returns how many were taken over. */
  async open(): Promise<number> {
    const { state, proxy } = this.#options;
    await this.#endReaper(state.get('reaper') as unknown as ProcessIdentity | undefined);
    for (const [key, port] of state.list('port/')) {
      const service = key.slice('port/'.length);
      this.#ports.reserve(port as number);
      await proxy.open(service, { port: port as number });
      proxy.setHold(service, true);
      const route = state.get(`route/${service}`) as unknown as RouteState | undefined;
      if (route !== undefined) proxy.setShares(service, route.shares);
    }
    for (const [, value] of state.list('group/')) {
      const { description, desired } = value as unknown as { description: RevisionDescription; desired: number };
      this.#groups(description.service).set(description.revision, { description, desired, instances: new Set() });
    }
    const adopted = await this.#adopt();
    if (this.#reaper.pid !== undefined) {
      const identity = await processIdentity(this.#reaper.pid);
      if (identity !== undefined) await state.set('reaper', { ...identity }, false);
    }
    for (const groups of this.#services.values()) for (const group of groups.values()) await this.#reconcile(group);
    void this.#releaseHolds();
    this.#rotating = this.#rotateLogs();
    return adopted;
  }

  async #adopt(): Promise<number> {
    const { state } = this.#options;
    const known = new Set<string>();
    for (const [key, value] of state.list('instance/')) {
      const id = key.slice('instance/'.length);
      const { service, revision, identity, port, restarts, startedMs } = value as unknown as InstanceRecord;
      const group = this.#services.get(service)?.get(revision);
      if (group === undefined || identity === undefined || !(await isRunning(identity))) {
        await state.set(key, undefined, false);
        continue;
      }
      known.add(id);
      const instance = new LocalInstance(this.#instanceContext, group.description, id);
      instance.restarts = restarts;
      instance.startedMs = startedMs;
      group.instances.add(instance);
      instance.run({ identity, port });
    }
    // Started, but not written down before the supervisor died: nobody could ever end them.
    await killStrays(this.#marker, known);
    return known.size;
  }

  async #endReaper(identity: ProcessIdentity | undefined): Promise<void> {
    if (identity === undefined || !(await isRunning(identity))) return;
    try {
      process.kill(-identity.pid, 'SIGKILL');
    } catch {
      // It ended in between.
    }
  }

  async setReplicas(description: RevisionDescription, replicas: number): Promise<void> {
    const groups = this.#groups(description.service);
    let group = groups.get(description.revision);
    if (group === undefined) {
      if (replicas === 0) return;
      group = { description, desired: 0, instances: new Set() };
      groups.set(description.revision, group);
    }
    if (group.desired !== replicas) {
      group.desired = replicas;
      await this.#keepGroup(group);
    }
    await this.#reconcile(group);
  }

  names(): readonly string[] {
    return [...this.#services].filter(([, groups]) => groups.size > 0).map(([service]) => service);
  }

  observe(service: string): ServiceObservation {
    const revisions: RevisionObservation[] = [];
    for (const { description, desired, instances } of this.#services.get(service)?.values() ?? []) {
      const statuses = [...instances].map((instance) => instance.status);
      revisions.push({
        revision: description.revision,
        config: description.config,
        desired,
        ready: statuses.filter(({ state }) => state === 'ready').length,
        instances: statuses,
        reasons: [...instances].flatMap(({ reason }) => (reason === undefined ? [] : [reason])),
      });
    }
    return { service, revisions };
  }

  async remove(service: string): Promise<void> {
    const groups = [...(this.#services.get(service)?.values() ?? [])];
    for (const group of groups) {
      group.desired = 0;
      await this.#keepGroup(group);
    }
    await Promise.all(groups.flatMap(({ instances }) => [...instances].map((instance) => instance.stop())));
    this.#services.delete(service);
  }

  async close(graceMs: number): Promise<void> {
    this.#isClosing = true;
    const instances = [...this.#services.values()].flatMap((groups) =>
      [...groups.values()].flatMap((group) => [...group.instances]),
    );
    await Promise.all(
      instances.map((instance) => {
        const { stopGraceMs = 5_000 } = instance.description.config;
        return instance.stop({ drainMs: 0, graceMs: Math.min(stopGraceMs, graceMs) });
      }),
    );
    this.#closing.abort();
    // The folder may be removed next: no copy may be under way in it.
    await this.#rotating;
    this.#reaper.close();
    await this.#options.state.set('reaper', undefined, false).catch(() => undefined);
  }

  /** The stable port of a service: the one that is asked for, else the one it had, else a free one. */
  async portFor(config: ServiceConfig): Promise<number> {
    const wanted = config.ports?.[0]?.port;
    const kept = this.#options.state.get(`port/${config.name}`) as number | undefined;
    return wanted ?? kept ?? (await this.#ports.take());
  }

  #groups(service: string): Map<string, RevisionGroup> {
    let groups = this.#services.get(service);
    if (groups === undefined) {
      groups = new Map();
      this.#services.set(service, groups);
    }
    return groups;
  }

  async #reconcile(group: RevisionGroup): Promise<void> {
    if (this.#isClosing) return;
    const wanted = [...group.instances].filter((instance) => !instance.isStopping);
    for (let count = wanted.length; count < group.desired; count += 1) {
      const instance = new LocalInstance(this.#instanceContext, group.description, this.#freeName(group));
      group.instances.add(instance);
      instance.run();
    }
    const rank = (instance: LocalInstance): number => (instance.state === 'ready' ? 1 : 0);
    wanted.sort((left, right) => rank(left) - rank(right) || right.startedMs - left.startedMs);
    for (const instance of wanted.slice(0, Math.max(0, wanted.length - group.desired))) {
      // Runs on by itself; `observe` shows it until it has ended.
      instance.stop().catch((error: unknown) => {
        this.#options.context.degraded(`Instance ${instance.id} could not be ended: ${String(error)}`);
      });
    }
    await this.#dropEmpty(group);
  }

  #freeName(group: RevisionGroup): string {
    const { service, revision } = group.description;
    const taken = new Set<string>();
    for (const other of this.#services.get(service)?.values() ?? [])
      for (const { id } of other.instances) taken.add(id);
    const [hash = '', generation] = revision.split('-');
    const short = generation === undefined ? hash.slice(0, 6) : `${hash.slice(0, 6)}-${generation}`;
    for (let number = 1; ; number += 1) {
      const name = `${service}-${short}-${number}`;
      if (!taken.has(name)) return name;
    }
  }

  async #keep(instance: LocalInstance): Promise<void> {
    const { service, revision } = instance.description;
    const { port, identity, restarts, startedMs } = instance;
    const record = { service, revision, restarts, startedMs };
    await this.#options.state.set(
      `instance/${instance.id}`,
      { ...record, ...(port !== undefined && { port }), ...(identity !== undefined && { identity: { ...identity } }) },
      false,
    );
  }

  async #forget(instance: LocalInstance): Promise<void> {
    const { service, revision } = instance.description;
    const group = this.#services.get(service)?.get(revision);
    group?.instances.delete(instance);
    await this.#options.state.set(`instance/${instance.id}`, undefined, false);
    if (group !== undefined) await this.#dropEmpty(group);
    const groups = [...(this.#services.get(service)?.values() ?? [])];
    const living = new Set(groups.flatMap(({ instances }) => [...instances].map(({ id }) => id)));
    await pruneLogs(this.#options.folder, service, living, keptEndedInstances);
    this.#options.context.changed(service);
  }

  async #dropEmpty(group: RevisionGroup): Promise<void> {
    if (group.desired > 0 || group.instances.size > 0) return;
    const { service, revision } = group.description;
    this.#services.get(service)?.delete(revision);
    await this.#options.state.set(`group/${service}/${revision}`, undefined, false);
  }

  async #keepGroup({ description, desired }: RevisionGroup): Promise<void> {
    const { service, revision, config } = description;
    const value = JSON.parse(JSON.stringify({ description: { service, revision, config }, desired }));
    await this.#options.state.set(`group/${service}/${revision}`, value, true);
  }

  async #environment(
    { service, revision, config }: RevisionDescription,
    instance: string,
    port: number | undefined,
  ): Promise<Record<string, string>> {
    const environment: Record<string, string> = {};
    for (const name of this.#options.inherit) {
      const value = process.env[name];
      if (value !== undefined) environment[name] = value;
    }
    for (const [name, value] of Object.entries(config.containers[0]?.environment ?? {})) {
      environment[name] = value.startsWith('secret://')
        ? await this.#secret(name, value)
        : resolveReferences(value, ({ service: other, part }) => {
            const address = this.#options.proxy.address(other);
            if (address === undefined) throw addressUnknown(name, other);
            return String(address[part]);
          });
    }
    for (const [name, value] of Object.entries(environment)) {
      // Node would refuse it too, but with an error that quotes the value.
      if (value.includes('\0')) throw nulByte(name);
    }
    if (port !== undefined) environment['PORT'] = String(port);
    environment['HOST'] = '127.0.0.1';
    environment['MNOPS_SERVICE'] = service;
    if (config.version !== undefined) environment['MNOPS_VERSION'] = config.version;
    environment['MNOPS_INSTANCE'] = instance;
    environment['MNOPS_REVISION'] = revision;
    const [marker = '', value = ''] = this.#marker.split('=');
    environment[marker] = value;
    return environment;
  }

  async #secret(variable: string, reference: string): Promise<string> {
    try {
      const value: unknown = await this.#options.context.secret(reference);
      if (typeof value === 'string') return value;
    } catch (error) {
      throw secretNotResolved(variable, reference, error);
    }
    throw secretNotResolved(variable, reference, undefined);
  }

  /** After a takeover requests wait until the processes found have answered once. */
  async #releaseHolds(): Promise<void> {
    const { clock, state, proxy } = this.#options;
    const endsAt = clock.monotonic() + adoptionHoldMs;
    const unsettled = (): boolean =>
      [...this.#services.values()].some((groups) =>
        [...groups.values()].some((group) => [...group.instances].some((instance) => instance.state === 'starting')),
      );
    try {
      while (unsettled() && clock.monotonic() < endsAt) await unheldSleep(clock, 20, this.#closing.signal);
    } catch {
      return;
    }
    for (const [key] of state.list('port/')) {
      const service = key.slice('port/'.length);
      const route = state.get(`route/${service}`) as unknown as RouteState | undefined;
      if (proxy.address(service) !== undefined) proxy.setHold(service, route?.hold ?? false);
    }
  }

  async #rotateLogs(): Promise<void> {
    const { clock, maxLogBytes, keptLogs, context } = this.#options;
    const reason = 'Instance output cannot be rotated.';
    const tooFast = 'Instances write output faster than it can be kept: some was cut.';
    for (;;) {
      try {
        await unheldSleep(clock, rotateEveryMs, this.#closing.signal);
      } catch {
        return;
      }
      try {
        let cut = 0;
        for (const groups of this.#services.values()) {
          for (const { instances } of groups.values()) {
            for (const { folder } of instances) {
              cut += await rotateLog(folder, 'stdout', maxLogBytes, keptLogs, this.#closing.signal);
              cut += await rotateLog(folder, 'stderr', maxLogBytes, keptLogs, this.#closing.signal);
            }
          }
        }
        context.recovered(reason);
        if (cut > 0) context.degraded(tooFast);
        else context.recovered(tooFast);
      } catch (error) {
        if (!MnopsError.is(error)) throw error;
        context.degraded(reason);
      }
    }
  }
}
