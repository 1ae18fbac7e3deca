import { callOf, systemClock } from '@mnops/core';
import { configError } from '@mnops/core/config';
import { type EventHub, eventHub, Lifecycle } from '@mnops/core/lifecycle';
import { type OperationFields, type OperationName, traced } from '@mnops/core/operations';
import type { RunningSchedule } from '@mnops/core/schedule';
import type { Call, CallOptions, Clock, Recoverable } from '@mnops/core/spi';
import { runBackup } from './backup/run-backup.js';
import type { ResolvedConfig } from './config.js';
import { type EvidenceDetails, type EvidenceKind, EvidenceLog } from './evidence/evidence-log.js';
import { notifyAll } from './notify.js';
import { type PointSelector, pointOf, type RecoveryPoint, type SelectedPoint, selectPoint } from './points.js';
import type { RepositoryFinding } from './repository/finding.js';
import type { Repository } from './repository/repository.js';
import { assertApart } from './restore/assert-apart.js';
import { assertRestorable, type RestoreDestination, runRestore } from './restore/run-restore.js';
import { openOrCreate } from './session.js';
import {
  type BackupOptions,
  type BackupResult,
  type DisasterRecoveryEvents,
  disasterRecoveryEvents,
  type RestoreResult,
} from './types.js';

/** What a restore is asked for, with defaults filled in. */
export interface RestoreRequest {
  readonly selector: PointSelector;
  readonly sources: readonly string[] | undefined;
  readonly target: RestoreDestination;
  readonly verify: boolean;
  readonly allowPartial: boolean;
}

/** Operations of this package. */
type DrOperation = Extract<OperationName, `mnops:dr:${string}`>;

/** What the methods of a manager share: the open repository, the evidence, events, and the running of one operation. */
export class Engine {
  readonly config: ResolvedConfig;
  readonly clock: Clock;
  readonly life: Lifecycle;
  readonly events: EventHub<DisasterRecoveryEvents> = eventHub(disasterRecoveryEvents);
  readonly #running = new Set<Promise<unknown>>();
  readonly #startSchedules: () => readonly RunningSchedule[];
  #schedules: readonly RunningSchedule[] = [];
  #repository: Repository | undefined;
  #evidence: EvidenceLog | undefined;
  #lastBackup: Promise<unknown> = Promise.resolve();

  /** @param startSchedules - Called once the repository is open; what comes back is stopped with the manager. */
  constructor(config: ResolvedConfig, startSchedules: () => readonly RunningSchedule[]) {
    this.config = config;
    this.#startSchedules = startSchedules;
    this.clock = config.clock ?? systemClock();
    this.life = new Lifecycle({
      name: 'DisasterRecoveryManager',
      clock: this.clock,
      start: (call) => this.#open(call),
      drain: async () => {
        await Promise.allSettled(this.#running);
      },
      close: async () => {
        await Promise.all(this.#schedules.map((schedule) => schedule.stop()));
        await Promise.allSettled(this.#running);
        this.#repository?.close();
        await this.#evidence?.close();
      },
    });
  }

  async #open(lifeCall: Call): Promise<void> {
    const call = callOf({ signal: lifeCall.signal, secrets: this.config.secrets, clock: this.clock });
    try {
      const repository = await openOrCreate(this.config, call);
      this.report(repository.findings);
      this.#evidence = await EvidenceLog.open(this.config);
      this.#repository = repository;
      this.#schedules = this.#startSchedules();
    } finally {
      call.end();
    }
  }

  get evidence(): EvidenceLog | undefined {
    return this.#evidence;
  }

  /** The repository, if it is open. */
  get repository(): Repository | undefined {
    return this.#repository;
  }

  /** The repository, opened where that was not done yet. */
  async opened(): Promise<Repository> {
    await this.life.start();
    const repository = this.#repository;
    if (repository === undefined) throw new TypeError('The manager is started, yet has no repository.');
    return repository;
  }

  /** Runs one operation under its channel, with a call that ends when the caller gives up or the manager stops. */
  async operation<N extends DrOperation, T>(
    name: N,
    context: OperationFields<N>,
    options: CallOptions,
    run: (call: Call, context: OperationFields<N>) => Promise<T>,
  ): Promise<T> {
    this.life.assertUsable();
    const { signal, timeoutMs } = options;
    const signals = signal === undefined ? [this.life.signal] : [this.life.signal, signal];
    const { secrets } = this.config;
    const call = callOf({ signal: AbortSignal.any(signals), timeoutMs, secrets, clock: this.clock });
    const known = { ...context, repository: this.config.repositoryFolder } as OperationFields<N>;
    const running = traced(name, known, async (fields) => {
      call.signal.throwIfAborted();
      return await run(call, fields);
    });
    this.#running.add(running);
    try {
      return await running;
    } finally {
      this.#running.delete(running);
      call.end();
    }
  }

  /** The configured sources with these ids; all without. */
  sources(ids: readonly string[] | undefined): readonly Recoverable[] {
    const { sources } = this.config;
    const unknown = (ids ?? []).filter((id) => !sources.has(id));
    if (unknown.length > 0) {
      const remedy = `Use one of ${[...sources.keys()].join(', ') || 'none: no source is configured'}.`;
      throw configError(
        'DisasterRecoveryManager',
        unknown.map((id) => ({ field: 'sources', expected: 'ids of configured sources', received: id, remedy })),
      );
    }
    return [...sources.values()].filter(({ id }) => ids === undefined || ids.includes(id));
  }

  /** Makes a backup when those before it have ended: the repository object has one writer. */
  async backup(sources: readonly Recoverable[], options: BackupOptions, call: Call): Promise<BackupResult> {
    const repository = await this.opened();
    const before = this.#lastBackup;
    const running = (async (): Promise<BackupResult> => {
      await before;
      call.signal.throwIfAborted();
      const began = this.clock.monotonic();
      let reportedMs = Number.NEGATIVE_INFINITY;
      const { snapshotId, ...outcome } = await runBackup({
        repository,
        sources,
        tags: options.tags ?? [],
        ownFolders: this.config.ownFolders,
        allowPartial: options.allowPartial ?? false,
        clock: this.clock,
        call,
        onProgress: (progress) => {
          reportedMs = this.#progress(reportedMs, () => this.events.emit('backup:progressed', progress));
        },
      });
      this.report(repository.findings);
      const point = snapshotId === undefined ? undefined : this.#point(repository, snapshotId);
      return { ...outcome, point, durationMs: this.clock.monotonic() - began };
    })();
    this.#lastBackup = running.catch(() => undefined);
    return await running;
  }

  #point(repository: Repository, id: string): RecoveryPoint | undefined {
    return repository
      .snapshots()
      .snapshots.filter((entry) => entry.id === id)
      .map((entry) => pointOf(id, entry.snapshot))[0];
  }

  /** All points, oldest first. */
  points(repository: Repository): RecoveryPoint[] {
    const { snapshots, findings } = repository.snapshots();
    this.report(findings);
    return snapshots.map(({ id, snapshot }) => pointOf(id, snapshot));
  }

  /** The point that a selector names, and which of its sources are meant. */
  async select(selector: PointSelector, sources: readonly string[] | undefined): Promise<SelectedPoint> {
    const repository = (await this.opened()).again();
    this.report(repository.snapshots().findings);
    return selectPoint(repository, selector, sources);
  }

  async restore(request: RestoreRequest, call: Call, chosen?: SelectedPoint): Promise<RestoreResult> {
    const repository = (await this.opened()).again();
    const began = this.clock.monotonic();
    try {
      const selected = chosen ?? (await this.select(request.selector, request.sources));
      const sources = request.sources ?? this.#restorableSources(selected, request.target);
      const input = { selected, sources, recoverables: this.config.sources, target: request.target };
      assertRestorable(input);
      assertApart(this.config, sources, request.target);
      this.events.emit('restore:started', { point: selected.point, sources });
      let reportedMs = Number.NEGATIVE_INFINITY;
      const outcome = await runRestore({
        ...input,
        repository,
        verify: request.verify,
        allowPartial: request.allowPartial,
        call,
        onProgress: (progress) => {
          reportedMs = this.#progress(reportedMs, () => this.events.emit('restore:progressed', progress));
        },
      });
      this.report(repository.findings);
      return { ...outcome, point: selected.point, durationMs: this.clock.monotonic() - began };
    } finally {
      repository.close();
    }
  }

  /** In place only what is configured can come back; into a folder, everything can. */
  #restorableSources({ point }: SelectedPoint, target: RestoreDestination): readonly string[] {
    return 'folder' in target ? point.sources : point.sources.filter((id) => this.config.sources.has(id));
  }

  /** At most four progress events a second. */
  #progress(reportedMs: number, emit: () => void): number {
    const now = this.clock.monotonic();
    if (now - reportedMs < 250) return reportedMs;
    emit();
    return now;
  }

  /** Tells about damage: event, status and notifiers, each finding once while it lasts. */
  report(findings: readonly RepositoryFinding[]): void {
    for (const { object, message, remedy, severity } of findings) {
      const reason = `${object}: ${message}`;
      if (this.life.reasons.includes(reason)) continue;
      this.life.degrade(reason);
      this.events.emit('storage:damaged', {
        code: 'MNOPS_DR_REPOSITORY_DAMAGED',
        file: object,
        offset: 0,
        records: severity === 'error' ? 1 : 0,
        remedy,
      });
      if (severity === 'error')
        this.notify('damage', 'critical', `Damage in the backups of ${this.config.service.name}`, reason);
    }
  }

  /** Tells the notifiers; one that fails is an event. */
  notify(key: string, severity: 'warning' | 'critical', title: string, text: string): void {
    void this.operationless((call) =>
      notifyAll(this.config, call, { key, severity, title, text, atMs: this.clock.now() }, (notifier, error) =>
        this.events.emit('notification:failed', { notifier, error }),
      ),
    );
  }

  async operationless(run: (call: Call) => Promise<void>): Promise<void> {
    const call = callOf({ timeoutMs: 10_000, secrets: this.config.secrets, clock: this.clock });
    const running = run(call).finally(() => call.end());
    this.#running.add(running);
    await running.finally(() => this.#running.delete(running));
  }

  /** Appends a record; a success that cannot be recorded is reported with the failure. */
  async record(kind: EvidenceKind, details: EvidenceDetails, error?: unknown): Promise<void> {
    await this.#evidence?.record(kind, details, error);
  }

  /** Appends a record of a failure, which must not hide the failure itself. */
  async recordFailure(kind: EvidenceKind, details: EvidenceDetails, error: unknown): Promise<void> {
    try {
      await this.#evidence?.record(kind, details, error);
    } catch (evidenceError) {
      this.events.emit('evidence:failed', { error: evidenceError });
    }
  }
}
