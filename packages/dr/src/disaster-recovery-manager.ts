import { randomUUID } from 'node:crypto';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureFolder } from '@mnops/core/files';
import type { StopOptions } from '@mnops/core/lifecycle';
import { traced } from '@mnops/core/operations';
import { type RunningSchedule, startSchedule } from '@mnops/core/schedule';
import type { CallOptions, HealthReport, HostStatus } from '@mnops/core/spi';
import { checkCall } from './call-options.js';
import { runCheck } from './check/run-check.js';
import { type DisasterRecoveryConfig, resolveConfig } from './config.js';
import { Engine } from './engine.js';
import * as details from './evidence/details.js';
import { type ComplianceReport, makeReport } from './evidence/report.js';
import { factsOf } from './evidence/report-facts.js';
import { judgeHealth } from './health.js';
import type { RecoveryPoint } from './points.js';
import type { RecoveryOutcome, RecoveryPlan } from './recovery/recovery-plan.js';
import { type RunPlanInput, recoveryError, runPlan } from './recovery/run-plan.js';
import { recoveryKitText } from './recovery-kit.js';
import type {
  BackupOptions,
  BackupResult,
  DisasterRecoveryEvents,
  DisasterRecoveryStats,
  DrillOptions,
  PointQuery,
  RecoverOptions,
  ReportOptions,
  RestoreOptions,
  RestoreResult,
  ValidateOptions,
  ValidationResult,
} from './types.js';

/**
 * Keeps backups of sources in an encrypted, deduplicated repository of restic's format, brings them back, and measures
 * how long that takes.
 *
 * Nothing happens by itself but what `schedule` names. Methods start the manager where `start` was
 * not called. `timeoutMs` has no default here: backups and restores take as long as they take.
 */
export class DisasterRecoveryManager implements AsyncDisposable {
  readonly #engine: Engine;
  readonly #counts = {
    backups: 0,
    failedBackups: 0,
    restores: 0,
    validations: 0,
    drills: 0,
    recoveries: 0,
    readBytes: 0,
    storedBytes: 0,
  };
  #lastBackupAt: Date | undefined;

  /** @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID` with every issue at once. No I/O happens here. */
  constructor(config: DisasterRecoveryConfig) {
    this.#engine = new Engine(resolveConfig(config), () => this.#startSchedules());
  }

  /** What was asked for runs by itself; failures are events and notifications already. */
  #startSchedules(): RunningSchedule[] {
    const { config, clock, repository } = this.#engine;
    const { backup, validate } = config.schedule;
    const last =
      repository === undefined ? undefined : this.#engine.points(repository).findLast(({ partial }) => !partial);
    const shared = { clock, onError: () => undefined };
    return [
      ...(backup === undefined
        ? []
        : [
            startSchedule({
              ...shared,
              schedule: backup,
              lastRunMs: last?.time.getTime(),
              run: async ({ signal }) => void (await this.backup({ signal })),
            }),
          ]),
      ...(validate === undefined
        ? []
        : [
            startSchedule({
              ...shared,
              schedule: validate,
              run: async ({ signal }) => void (await this.validate({ depth: 'full', signal })),
            }),
          ]),
    ];
  }

  /**
   * The repository is open; an absent or empty folder became a new one.
   *
   * @throws {MnopsError} `MNOPS_DR_WRONG_KEY`, `MNOPS_DR_KEY_FILE_DAMAGED`, `MNOPS_DR_REPOSITORY_UNSUPPORTED`,
   * `MNOPS_CORE_STORAGE_FAILED`, `MNOPS_CORE_CONFIG_INVALID` for an empty passphrase.
   */
  start(options: CallOptions = {}): Promise<void> {
    return this.#engine.life.start(options);
  }

  /** Work under way had `graceMs` (default 10,000) to end, then was aborted; everything is closed. */
  stop(options: StopOptions = {}): Promise<void> {
    return this.#engine.life.stop(options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  get status(): HostStatus {
    return this.#engine.life.status;
  }

  /** Calls the listener at each event; returns a function that ends this. */
  on<Name extends keyof DisasterRecoveryEvents>(
    event: Name,
    listener: (value: DisasterRecoveryEvents[Name]) => void,
  ): () => void {
    return this.#engine.events.on(event, listener);
  }

  /** Counters since the manager was made. */
  stats(): DisasterRecoveryStats {
    const evidenceDurable = this.#engine.evidence?.durable ?? false;
    return { ...this.#counts, lastBackupAt: this.#lastBackupAt, evidenceDurable };
  }

  /** `degraded` with reasons when damage is known, or the newest complete point is older than the RPO. Reads the list of points. */
  async health(): Promise<HealthReport> {
    const { repository, life, config, clock } = this.#engine;
    const points = repository === undefined ? [] : this.#engine.points(repository.again());
    return judgeHealth(this.status, life.reasons, points, config.objective, clock.now());
  }

  /**
   * Makes one recovery point of all sources. Only what changed is read, by size, times and inode.
   *
   * @throws {MnopsError} `MNOPS_DR_BACKUP_INCOMPLETE` with `details.result` when a path or source could not be read and
   * `allowPartial` is not set: then there is no new point. `MNOPS_DR_REPOSITORY_LOCKED`, `MNOPS_CORE_STORAGE_FAILED`.
   */
  async backup(options: BackupOptions = {}): Promise<BackupResult> {
    checkCall('backup', options);
    const { events, config } = this.#engine;
    const sources = this.#engine.sources(options.sources);
    const ids = sources.map(({ id }) => id);
    return await this.#engine.operation(
      'mnops:dr:backup',
      { source: ids.join(',') },
      options,
      async (call, context) => {
        events.emit('backup:started', { sources: ids });
        try {
          const result = await this.#engine.backup(sources, options, call);
          Object.assign(context, details.backupContext(result));
          this.#counts.readBytes += result.readBytes;
          this.#counts.storedBytes += result.storedBytes;
          if (result.state === 'discarded') throw details.incompleteBackup(result);
          await this.#engine.record('backup', details.backupDetails(result));
          this.#counts.backups += 1;
          if (result.state === 'committed') this.#lastBackupAt = result.startedAt;
          events.emit('backup:completed', result);
          return result;
        } catch (error) {
          this.#counts.failedBackups += 1;
          await this.#engine.recordFailure('backup', { sources: ids }, error);
          events.emit('backup:failed', { error });
          this.#engine.notify('backup', 'warning', `A backup of ${config.service.name} failed`, messageOf(error));
          throw error;
        }
      },
    );
  }

  /** Recovery points, newest first. Damaged ones are events `storage:damaged`. */
  async *recoveryPoints(query: PointQuery = {}): AsyncGenerator<RecoveryPoint, void> {
    checkCall('recoveryPoints', query);
    const { source, from, to } = query;
    const repository = (await this.#engine.opened()).again();
    for (const point of this.#engine.points(repository).reverse()) {
      if (source !== undefined && !point.sources.includes(source)) continue;
      if (from !== undefined && point.time < from) continue;
      if (to === undefined || point.time < to) yield point;
    }
  }

  /**
   * Brings a point back, byte for byte, or names every path that could not be.
   *
   * @throws {MnopsError} `MNOPS_DR_RESTORE_INCOMPLETE` with `details.result`, unless `allowPartial` is set;
   * `MNOPS_DR_POINT_NOT_FOUND`, `MNOPS_DR_SOURCE_NOT_FOUND`, `MNOPS_DR_TARGET_NOT_EMPTY`, `MNOPS_CORE_UNSUPPORTED`.
   */
  async restore(options: RestoreOptions): Promise<RestoreResult> {
    checkCall('restore', options);
    const { point: selector = 'latest', sources, target, verify = true, allowPartial = false } = options;
    return await this.#engine.operation('mnops:dr:restore', {}, options, async (call, context) => {
      try {
        const result = await this.#engine.restore({ selector, sources, target, verify, allowPartial }, call);
        Object.assign(context, details.restoreContext(result, sources));
        if (result.state !== 'exact' && !allowPartial) throw details.incompleteRestore(result);
        await this.#engine.record('restore', details.restoreDetails(result));
        this.#counts.restores += 1;
        this.#engine.events.emit('restore:completed', result);
        return result;
      } catch (error) {
        await this.#engine.recordFailure('restore', { sources: [...(sources ?? [])] }, error);
        this.#engine.events.emit('restore:failed', { error });
        throw error;
      }
    });
  }

  /** Looks for damage and names what it costs. Damaged packs are not counted on by the next backup, which heals them. */
  async validate(options: ValidateOptions = {}): Promise<ValidationResult> {
    checkCall('validate', options);
    const { depth = 'structure' } = options;
    const { clock, events } = this.#engine;
    return await this.#engine.operation('mnops:dr:validate', {}, options, async (call, context) => {
      const repository = (await this.#engine.opened()).again();
      const began = clock.monotonic();
      try {
        const outcome = await runCheck(repository, depth, call, (progress) =>
          events.emit('validation:progressed', progress),
        );
        const result = { ...outcome, depth, durationMs: clock.monotonic() - began };
        Object.assign(context, { findings: result.findings.length, outcome: result.state });
        this.#engine.report(result.findings);
        await this.#engine.record('validate', details.validateDetails(result));
        this.#counts.validations += 1;
        events.emit('validation:completed', result);
        return result;
      } finally {
        repository.close();
      }
    });
  }

  /**
   * Runs the plan on production: stop, restore in place, start, wait until ready. Measures RTO from the outage to the
   * first ready and RPO from the last write to the point. On failure the service is left stopped.
   *
   * @throws {MnopsError} `MNOPS_DR_RECOVERY_FAILED` with `details.result`, the phases and the cause.
   */
  async recover(plan: RecoveryPlan, options: RecoverOptions): Promise<RecoveryOutcome> {
    checkCall('recover', { plan, options });
    const { outageStartedAt, lastWriteAt } = options;
    const outcome = await this.#run(plan, options, { kind: 'recovery', outageStartedAt, lastWriteAt, keep: false });
    this.#counts.recoveries += 1;
    return outcome;
  }

  /**
   * Runs the plan on a folder of its own, which is removed afterwards. Production is not touched: its `stop`, `start` and
   * `ready` are not called.
   *
   * @throws {MnopsError} `MNOPS_DR_RECOVERY_FAILED` with `details.result`.
   */
  async drill(plan: RecoveryPlan, options: DrillOptions = {}): Promise<RecoveryOutcome> {
    checkCall('drill', { plan, options });
    const { lastWriteAt, keep = false } = options;
    const outageStartedAt = new Date(this.#engine.clock.now());
    const outcome = await this.#run(plan, options, { kind: 'drill', outageStartedAt, lastWriteAt, keep });
    this.#counts.drills += 1;
    return outcome;
  }

  async #run(
    plan: RecoveryPlan,
    options: CallOptions,
    how: Pick<RunPlanInput, 'kind' | 'outageStartedAt' | 'lastWriteAt' | 'keep'>,
  ): Promise<RecoveryOutcome> {
    const { kind } = how;
    const { config, clock, events } = this.#engine;
    const channel = kind === 'drill' ? 'mnops:dr:drill' : 'mnops:dr:recover';
    const named = plan.name === undefined ? {} : { plan: plan.name };
    return await this.#engine.operation(channel, named, options, async (call, context) => {
      await this.#engine.opened();
      const ran = await runPlan({
        ...how,
        plan,
        objective: config.objective,
        clock,
        call,
        folder: kind === 'drill' ? await this.#drillFolder() : undefined,
        select: (selector, sources) => this.#engine.select(selector, sources),
        restore: (selected, sources, target) =>
          traced('mnops:dr:restore', { repository: config.repositoryFolder }, async (fields) => {
            const request = { selector: 'latest', sources, target, verify: true, allowPartial: false } as const;
            const restored = await this.#engine.restore(request, call, selected);
            Object.assign(fields, details.restoreContext(restored, sources));
            return restored;
          }),
        onPhase: (phase, id) => events.emit(`${kind}:phase-entered`, { id, phase }),
      });
      const { outcome } = ran;
      const { plan: name, rtoMs, rpoMs, verdict } = outcome;
      Object.assign(context, { plan: name, rtoMs: rtoMs ?? null, rpoMs: rpoMs ?? null, outcome: verdict });
      if (verdict === 'passed') {
        await this.#engine.record(kind, details.runDetails(outcome));
        events.emit(`${kind}:completed`, outcome);
        return outcome;
      }
      const error = recoveryError(ran);
      await this.#engine.recordFailure(kind, details.runDetails(outcome), error);
      events.emit(`${kind}:failed`, { error });
      this.#engine.notify(kind, 'critical', `A ${kind} of ${config.service.name} failed`, messageOf(error));
      throw error;
    });
  }

  async #drillFolder(): Promise<string> {
    const { folder } = this.#engine.config;
    const path =
      folder === undefined ? join(tmpdir(), `mnops-drill-${randomUUID()}`) : join(folder, 'drills', randomUUID());
    await ensureFolder(path);
    return path;
  }

  /** Evidence of a period for the controls of a framework, with the gaps. It never says that something is compliant. */
  async complianceReport(options: ReportOptions): Promise<ComplianceReport> {
    checkCall('complianceReport', options);
    const { from, to, format = 'markdown', folder } = options;
    const { config, clock } = this.#engine;
    const repository = await this.#engine.opened();
    const log = this.#engine.evidence;
    const facts = factsOf((await log?.records(from, to)) ?? [], {
      service: config.service.name,
      from,
      to,
      sources: [...config.sources.keys()],
      objective: config.objective,
      repositoryId: repository.config?.id ?? '',
      verification: await log?.verify(),
      durable: log?.durable ?? false,
      signed: log?.signed ?? false,
    });
    return await makeReport(facts, new Date(clock.now()), format, folder);
  }

  /** What to print and keep apart: where the repository is, its ids, and how restic alone restores it. Never the key. */
  async recoveryKit(): Promise<string> {
    return recoveryKitText(await this.#engine.opened(), this.#engine.config, hostname());
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : 'Unknown failure.';
}
