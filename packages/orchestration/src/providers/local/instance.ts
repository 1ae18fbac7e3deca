import { stat } from 'node:fs/promises';
import { codeOf } from '@mnops/core';
import type { ProcessIdentity } from '@mnops/core/files';
import type { Clock, FailureReason, InstanceState, InstanceStatus, RevisionDescription } from '@mnops/core/spi';
import type { ServiceProxy } from '../../proxy/index.js';
import { isEnvironmentError } from './environment-error.js';
import { type LogChannel, lastLines, logFile, logFolder, prepareLogs } from './log-files.js';
import type { PortAllocator } from './ports.js';
import { type ProbeEvents, watchProbes } from './probe-loop.js';
import {
  adoptProcess,
  killDaemons,
  type ProcessEnd,
  type ProcessHandle,
  spawnProcess,
  unheldSleep,
} from './process-handle.js';
import type { Reaper } from './reaper.js';

/** What an instance needs from its supervisor. */
export interface InstanceContext {
  readonly clock: Clock;
  /** `NAME=value` in the environment of every process of the supervisor. */
  readonly marker: string;
  /** Aborts when the supervisor is closed. */
  readonly signal: AbortSignal;
  readonly folder: string;
  readonly proxy: ServiceProxy;
  readonly ports: PortAllocator;
  readonly reaper: Reaper;
  readonly random: () => number;
  /** Variables for one start, secrets and addresses resolved. */
  environment(
    description: RevisionDescription,
    instance: string,
    port: number | undefined,
  ): Promise<Record<string, string>>;
  keep(instance: LocalInstance): Promise<void>;
  forget(instance: LocalInstance): Promise<void>;
  changed(service: string): void;
}

const firstBackoffMs = 100;
const maxBackoffMs = 30_000;
const stableMs = 60_000;
/** Starts in a row that ended, until waiting is no use: the first and two restarts. */
const crashLoopStarts = 3;
const reasonLines = 20;

/** One process of a revision: started, asked, restarted with growing pauses, drained and ended. */
export class LocalInstance {
  readonly id: string;
  readonly description: RevisionDescription;
  state: InstanceState = 'starting';
  port: number | undefined;
  identity: ProcessIdentity | undefined;
  restarts = 0;
  startedMs = 0;
  readySinceMs: number | undefined;
  adopted = false;
  /** Why it does not run, once waiting will not mend that. */
  reason: FailureReason | undefined;
  readonly #context: InstanceContext;
  readonly #folder: string;
  readonly #stopping = new AbortController();
  #failedStarts = 0;
  #message: string | undefined;
  #handle: ProcessHandle | undefined;
  #environment: Readonly<Record<string, string>> = {};
  #outputFrom = { stdout: 0, stderr: 0 };
  #killReason: { readonly code: string; readonly message: string } | undefined;
  #running: Promise<void> = Promise.resolve();
  #stopped: Promise<void> | undefined;

  constructor(context: InstanceContext, description: RevisionDescription, id: string) {
    this.#context = context;
    this.description = description;
    this.id = id;
    this.#folder = logFolder(context.folder, description.service, id);
  }

  get folder(): string {
    return this.#folder;
  }

  get status(): InstanceStatus {
    const { revision, config } = this.description;
    return {
      instance: this.id,
      revision,
      version: config.version,
      state: this.state,
      pid: this.identity?.pid,
      port: this.port,
      restarts: this.restarts,
      startedMs: this.startedMs,
      readySinceMs: this.readySinceMs,
      adopted: this.adopted,
      message: this.#message,
    };
  }

  /** Begins to run. `found`: a process of an earlier supervisor that is taken over first, if it is still there. */
  run(found?: { readonly identity: ProcessIdentity; readonly port: number | undefined }): void {
    this.#running = this.#loop(found);
  }

  /** Drained and ended. A second call waits for the first. */
  stop(options: { readonly drainMs?: number; readonly graceMs?: number } = {}): Promise<void> {
    this.#stopped ??= this.#stop(options);
    return this.#stopped;
  }

  get isStopping(): boolean {
    return this.#stopped !== undefined;
  }

  async #stop(options: { readonly drainMs?: number; readonly graceMs?: number }): Promise<void> {
    const { service, config } = this.description;
    this.#set('draining');
    this.#stopping.abort();
    await this.#context.proxy.drainTarget(service, this.id, options.drainMs ?? config.drainMs ?? 30_000);
    this.#set('stopping');
    await this.#end(options.graceMs ?? config.stopGraceMs ?? 5_000);
    await this.#running;
    if (this.port !== undefined) this.#context.ports.release(this.port);
    await this.#context.forget(this);
  }

  async #end(graceMs: number): Promise<void> {
    const handle = this.#handle;
    if (handle === undefined) return;
    await handle.signal('SIGTERM');
    const grace = new AbortController();
    const late = this.#context.clock.sleep(graceMs, grace.signal).then(
      () => true,
      () => false,
    );
    const killed = await Promise.race([handle.ended.then(() => false), late]);
    grace.abort();
    // Children that a process left behind when it ended in time are killed before `ended` resolves.
    if (killed) await handle.signal('SIGKILL');
    await handle.ended;
  }

  async #loop(
    found: { readonly identity: ProcessIdentity; readonly port: number | undefined } | undefined,
  ): Promise<void> {
    let take = found;
    while (!this.#stopping.signal.aborted) {
      try {
        this.#handle = take === undefined ? await this.#spawn() : await this.#adopt(take);
      } catch (error) {
        await this.#failedStart(startFailure(error, this.description));
        continue;
      }
      take = undefined;
      const handle = this.#handle;
      if (handle === undefined) continue;
      // Stopped while it was being started: whoever stops it has found nothing to end.
      if (this.#stopping.signal.aborted) void this.#end(this.description.config.stopGraceMs ?? 5_000);
      const end = await this.#supervise(handle);
      this.#handle = undefined;
      this.#context.reaper.remove(handle.identity);
      this.identity = undefined;
      if (this.#stopping.signal.aborted) return;
      await this.#failedStart(this.#killReason ?? endReason(end), end);
      this.#killReason = undefined;
      this.restarts += 1;
    }
  }

  async #spawn(): Promise<ProcessHandle> {
    const { service, config, revision } = this.description;
    const context = this.#context;
    this.#set('starting');
    await prepareLogs(this.#folder, { name: service, version: config.version, instance: this.id, revision });
    if (this.port !== undefined) context.ports.release(this.port);
    this.port = (config.ports ?? []).length > 0 ? await context.ports.take() : undefined;
    const environment = await context.environment(this.description, this.id, this.port);
    const container = config.containers[0]!;
    this.#environment = environment;
    this.#outputFrom = { stdout: await this.#outputSize('stdout'), stderr: await this.#outputSize('stderr') };
    // Written down before the start: a process without this record would be found by its marker only.
    await context.keep(this);
    this.startedMs = context.clock.now();
    const handle = await spawnProcess({
      command: [...container.command, ...(container.args ?? [])],
      environment,
      workingDirectory: container.workingDirectory,
      stdoutFile: logFile(this.#folder, 'stdout'),
      stderrFile: logFile(this.#folder, 'stderr'),
    });
    context.reaper.add(handle.identity);
    this.identity = handle.identity;
    await context.keep(this);
    return handle;
  }

  async #adopt(found: {
    readonly identity: ProcessIdentity;
    readonly port: number | undefined;
  }): Promise<ProcessHandle | undefined> {
    const marker = `MNOPS_INSTANCE=${this.id}`;
    const handle = await adoptProcess(found.identity, marker, this.#context.clock, this.#context.signal);
    if (handle === undefined) return undefined;
    this.port = found.port;
    this.identity = found.identity;
    this.adopted = true;
    this.#environment = await this.#context.environment(this.description, this.id, found.port).catch(() => ({}));
    if (found.port !== undefined) this.#context.ports.reserve(found.port);
    this.#context.reaper.add(found.identity);
    return handle;
  }

  #outputSize(channel: LogChannel): Promise<number> {
    return stat(logFile(this.#folder, channel)).then(
      ({ size }) => size,
      () => 0,
    );
  }

  async #supervise(handle: ProcessHandle): Promise<ProcessEnd> {
    const probing = new AbortController();
    const signal = AbortSignal.any([probing.signal, this.#stopping.signal, this.#context.signal]);
    const { config } = this.description;
    const subject = {
      host: '127.0.0.1',
      port: this.port,
      environment: this.#environment,
      workingDirectory: config.containers[0]!.workingDirectory,
      stdoutFile: logFile(this.#folder, 'stdout'),
      stderrFile: logFile(this.#folder, 'stderr'),
      outputFrom: this.#outputFrom,
    };
    const events: ProbeEvents = {
      ready: () => this.#ready(),
      unready: () => this.#unready(),
      waiting: (message) => {
        this.#message = message;
      },
      fatal: (code, message) => {
        this.#killReason = { code, message };
        void this.#end(config.stopGraceMs ?? 5_000);
      },
    };
    watchProbes(config, subject, events, { clock: this.#context.clock, signal, random: this.#context.random });
    const end = await handle.ended;
    probing.abort();
    await killDaemons(this.#context.marker, this.id);
    if (!this.#stopping.signal.aborted) this.#context.proxy.removeTarget(this.description.service, this.id);
    this.readySinceMs = undefined;
    return end;
  }

  #ready(): void {
    const { service, revision, config } = this.description;
    this.readySinceMs = this.#context.clock.now();
    this.reason = undefined;
    this.#message = undefined;
    if (this.port !== undefined) {
      this.#context.proxy.addTarget(service, { instance: this.id, revision, version: config.version, port: this.port });
    }
    this.#set('ready');
  }

  #unready(): void {
    this.readySinceMs = undefined;
    this.#set('unready');
    void this.#context.proxy.drainTarget(this.description.service, this.id, this.description.config.drainMs ?? 30_000);
  }

  async #failedStart(
    what: { readonly code: string; readonly message: string; readonly final?: boolean },
    end: ProcessEnd = {},
  ): Promise<void> {
    if (this.#context.clock.now() - this.startedMs > stableMs && this.startedMs > 0) this.#failedStarts = 0;
    this.#failedStarts += 1;
    this.#message = what.message;
    const looping = this.#failedStarts >= crashLoopStarts;
    if (looping || what.final === true) {
      this.reason = {
        service: this.description.service,
        instance: this.id,
        revision: this.description.revision,
        code: what.final === true ? what.code : `crash-loop:${what.code}`,
        message: what.message,
        exitCode: end.code,
        exitSignal: end.signal,
        restarts: this.restarts,
        lastLogLines: await lastLines(this.#folder, reasonLines),
        seenMs: this.#context.clock.now(),
      };
    }
    this.#set(what.final === true ? 'failed' : looping ? 'crash-loop' : 'backoff');
    const pauseMs = Math.min(maxBackoffMs, firstBackoffMs * 2 ** (this.#failedStarts - 1));
    const jitter = 0.8 + 0.4 * this.#context.random();
    const stopped = AbortSignal.any([this.#stopping.signal, this.#context.signal]);
    await unheldSleep(this.#context.clock, pauseMs * jitter, stopped).catch(() => undefined);
    if (this.#context.signal.aborted) this.#stopping.abort();
  }

  #set(state: InstanceState): void {
    this.state = state;
    this.#context.changed(this.description.service);
  }
}

function endReason({ code, signal }: ProcessEnd): { readonly code: string; readonly message: string } {
  if (signal !== undefined) return { code: 'killed', message: `The process was ended by ${signal}.` };
  if (code === undefined) return { code: 'exited', message: 'The process ended.' };
  return { code: 'exited', message: `The process ended with exit code ${code}.` };
}

function startFailure(
  error: unknown,
  { config }: RevisionDescription,
): { readonly code: string; readonly message: string; readonly final?: boolean } {
  const program = config.containers[0]?.command[0] ?? '';
  // Our own words about the variables; whatever else failed is told by its code.
  if (isEnvironmentError(error)) return { code: error.code, message: error.message, final: error.final };
  const code = codeOf(error);
  if (code === 'ENOENT') {
    const folder = config.containers[0]?.workingDirectory;
    const where = folder === undefined ? '' : `, or the folder ${folder} is not there`;
    return { code: 'command-not-found', message: `The program ${program} was not found${where}.`, final: true };
  }
  if (code === 'EACCES' || code === 'ENOTDIR') {
    return { code: 'command-not-executable', message: `The program ${program} may not be run: ${code}.`, final: true };
  }
  // The code only: Node's message may quote a variable's value, and that may be a secret.
  return { code: 'not-started', message: `The process could not be started: ${code ?? 'unknown reason'}.` };
}
