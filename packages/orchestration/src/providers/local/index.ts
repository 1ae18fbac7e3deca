import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { storageError, systemClock, UnsupportedError } from '@mnops/core';
import { clockSchema, durationMsSchema, functionSchema, parseOptions, textSchema } from '@mnops/core/config';
import type {
  Clock,
  JsonValue,
  OrchestrationProvider,
  RouteState,
  ServiceConfig,
  ServiceRouter,
} from '@mnops/core/spi';
import * as v from 'valibot';
import { type ProxyLimits, ServiceProxy } from '../../proxy/index.js';
import { serviceReferences } from '../../spec/references.js';
import { lastLines, logFolder } from './log-files.js';
import { localLogSource } from './log-source.js';
import { journalState, memoryState, type StateStore } from './state-store.js';
import { LocalSupervisor } from './supervisor.js';

/** How services run as processes of this machine. */
export interface LocalOptions {
  /**
   * Folder for the journal and the output of instances. With it, instances outlive a killed supervisor and are taken over by
   * the next one. Default: a temporary folder, removed at the end; instances end with the supervisor.
   */
  readonly folder?: string | undefined;
  /** First and last port for instances and services. Default `[20_000, 32_000]`. */
  readonly portRange?: readonly [number, number] | undefined;
  /** Variables of this process that instances inherit. Default `PATH HOME USER LANG LC_ALL TZ TMPDIR`. */
  readonly inheritEnvironment?: readonly string[] | undefined;
  /** How long instances of a killed supervisor wait for the next one, milliseconds; then they are killed. Default one hour. Only with `folder`. */
  readonly orphanGraceMs?: number | undefined;
  /** An output file over this size is rotated. Default 10 MiB. */
  readonly maxLogBytes?: number | undefined;
  /** Rotated files that are kept per output. Default 5. */
  readonly keptLogs?: number | undefined;
  readonly proxy?: ProxyLimits | undefined;
  readonly clock?: Clock | undefined;
  /** Default `Math.random`; for backoff and jitter. */
  readonly random?: (() => number) | undefined;
}

const portSchema = v.pipe(v.number(), v.integer(), v.minValue(1_024), v.maxValue(65_535));
const limitSchema = v.optional(v.pipe(v.number(), v.integer(), v.minValue(1)));
const optionsSchema = v.strictObject({
  folder: v.optional(textSchema),
  portRange: v.optional(v.strictTuple([portSchema, portSchema])),
  inheritEnvironment: v.optional(v.array(textSchema)),
  orphanGraceMs: v.optional(durationMsSchema),
  maxLogBytes: limitSchema,
  keptLogs: limitSchema,
  proxy: v.optional(
    v.strictObject({
      maxInFlight: limitSchema,
      maxHeld: limitSchema,
      holdMs: v.optional(durationMsSchema),
      maxHeaderBytes: limitSchema,
      answerTimeoutMs: v.optional(durationMsSchema),
      upgradeDrainMs: v.optional(durationMsSchema),
    }),
  ),
  clock: v.optional(clockSchema),
  random: v.optional(functionSchema),
});

const inherited = ['PATH', 'HOME', 'USER', 'LANG', 'LC_ALL', 'TZ', 'TMPDIR'];

/**
 * Runs services as processes of this machine behind a reverse proxy on loopback.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID`; `MNOPS_CORE_UNSUPPORTED` on Windows, where processes have neither groups
 * nor signals.
 */
export function local(options: LocalOptions = {}): OrchestrationProvider {
  parseOptions('local', optionsSchema, options);
  if (process.platform === 'win32') {
    throw new UnsupportedError(
      'Windows cannot run services as local processes: it has no process groups and signals.',
      {
        provider: 'local',
        remedy: 'Run on Linux or macOS, for instance in WSL.',
      },
    );
  }
  return new LocalProvider(options).provider();
}

class LocalProvider {
  readonly #options: LocalOptions;
  readonly #clock: Clock;
  readonly #proxy: ServiceProxy;
  #state: StateStore = memoryState();
  #supervisor: LocalSupervisor | undefined;
  #folder = '';

  constructor(options: LocalOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock();
    this.#proxy = new ServiceProxy({ limits: options.proxy, clock: this.#clock });
  }

  provider(): OrchestrationProvider {
    return {
      specVersion: 1,
      kind: 'orchestration-provider',
      id: 'local',
      capabilities: {
        strategies: { recreate: 'emulated', rolling: 'emulated', canary: 'emulated' },
        durable: this.#options.folder !== undefined,
      },
      router: this.#router(),
      logs: localLogSource({ folder: () => this.#folder, clock: this.#clock }),
      open: (context) => this.#open(context),
      close: ({ graceMs }) => this.#close(graceMs),
      check: (config) => checkLocal(config),
      prepare: (config) => this.#prepare(config),
      setReplicas: (revision, replicas) => this.#running().setReplicas(revision, replicas),
      services: async () => this.#running().names(),
      observe: async (service) => this.#running().observe(service),
      lastLogLines: (service, instance, count) => lastLines(logFolder(this.#folder, service, instance), count),
      remove: (service) => this.#remove(service),
      records: async () => {
        const records = this.#state.list('record/');
        return new Map(records.map(([key, value]) => [key.slice('record/'.length), value]));
      },
      writeRecord: (service, record) => this.#state.set(`record/${service}`, record, true),
    };
  }

  #running(): LocalSupervisor {
    if (this.#supervisor !== undefined) return this.#supervisor;
    throw new UnsupportedError('The local provider is not open.', { provider: 'local', remedy: 'Call start() first.' });
  }

  async #open(context: Parameters<OrchestrationProvider['open']>[0]): Promise<void> {
    const { folder, portRange = [20_000, 32_000], inheritEnvironment = inherited } = this.#options;
    if (folder === undefined) {
      this.#folder = await mkdtemp(join(tmpdir(), 'mnops-local-')).catch((error: unknown) => {
        throw storageError('create folder', tmpdir(), error);
      });
    } else {
      this.#folder = folder;
      const reason = 'The rollout journal cannot be written.';
      this.#state = await journalState(folder, (failure) =>
        failure === undefined ? context.recovered(reason) : context.degraded(reason),
      );
      for (const damage of this.#state.damage) context.damaged(damage);
    }
    this.#supervisor = new LocalSupervisor({
      folder: this.#folder,
      temporary: folder === undefined,
      state: this.#state,
      proxy: this.#proxy,
      clock: this.#clock,
      context,
      portRange,
      inherit: inheritEnvironment,
      orphanGraceMs: folder === undefined ? 0 : (this.#options.orphanGraceMs ?? 3_600_000),
      maxLogBytes: this.#options.maxLogBytes ?? 10 * 1024 * 1024,
      keptLogs: this.#options.keptLogs ?? 5,
      random: this.#options.random ?? Math.random,
    });
    try {
      await this.#supervisor.open();
    } catch (error) {
      await this.#close(0);
      throw error;
    }
  }

  async #close(graceMs: number): Promise<void> {
    const supervisor = this.#supervisor;
    if (supervisor === undefined) return;
    this.#supervisor = undefined;
    await this.#proxy.stop({ graceMs });
    await supervisor.close(graceMs);
    await this.#state.close();
    if (this.#options.folder === undefined) await rm(this.#folder, { recursive: true, force: true });
  }

  async #prepare(config: ServiceConfig): Promise<void> {
    const { name, ports = [] } = config;
    const address = this.#proxy.address(name);
    if (ports.length === 0) {
      if (address !== undefined) await this.#closePort(name);
      return;
    }
    const port = await this.#running().portFor(config);
    if (address?.port === port) return;
    if (address !== undefined) await this.#closePort(name);
    await this.#proxy.open(name, { port });
    await this.#state.set(`port/${name}`, port, true);
  }

  async #closePort(service: string): Promise<void> {
    await this.#proxy.close(service, 5_000);
    await this.#state.set(`port/${service}`, undefined, true);
  }

  async #remove(service: string): Promise<void> {
    await this.#running().remove(service);
    await this.#proxy.close(service, 1_000);
    for (const key of [`port/${service}`, `route/${service}`, `record/${service}`]) {
      if (this.#state.get(key) !== undefined) await this.#state.set(key, undefined, true);
    }
  }

  #router(): ServiceRouter {
    return {
      specVersion: 1,
      kind: 'service-router',
      id: 'local-proxy',
      capabilities: { weights: 'exact', hold: true, drain: 'observed' },
      address: (service) => this.#proxy.address(service),
      read: async (service) => this.#state.get(`route/${service}`) as unknown as RouteState | undefined,
      apply: async (service, route) => {
        await this.#state.set(`route/${service}`, JSON.parse(JSON.stringify(route)) as JsonValue, true);
        if (this.#proxy.address(service) === undefined) return;
        this.#proxy.setHold(service, route.hold);
        this.#proxy.setShares(service, route.shares);
      },
      counts: (service) => this.#proxy.stats(service),
      figures: this.#proxy.metricSource,
    };
  }
}

function checkLocal(config: ServiceConfig): readonly { readonly field: string; readonly message: string }[] {
  const problems: { field: string; message: string }[] = [];
  if (config.containers.length > 1) {
    problems.push({
      field: 'containers.1',
      message: 'A local service is one process: describe the other as a service of its own.',
    });
  }
  const probes = Object.entries(config.containers[0]?.probes ?? {});
  for (const [name, probe] of probes) {
    if (probe !== undefined && (config.ports ?? []).length === 0 && ('http' in probe || 'tcp' in probe)) {
      problems.push({
        field: `containers.0.probes.${name}`,
        message: 'The service has no port to ask: add one to ports.',
      });
    }
  }
  for (const [name, value] of Object.entries(config.containers[0]?.environment ?? {})) {
    if (value.startsWith('secret://') && serviceReferences(value).length > 0) {
      problems.push({
        field: `containers.0.environment.${name}`,
        message: 'A value is a secret or names a service, not both.',
      });
    }
  }
  return problems;
}
