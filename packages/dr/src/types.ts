import type { EventNames } from '@mnops/core/lifecycle';
import type { CallOptions, StorageDamage } from '@mnops/core/spi';
import type { BackupOutcome } from './backup/run-backup.js';
import type { BackupProgress } from './backup/tally.js';
import type { CheckOutcome, CheckProgress, ValidationDepth } from './check/run-check.js';
import type { PointSelector, RecoveryPoint } from './points.js';
import type { RecoveryOutcome, RecoveryPhase } from './recovery/recovery-plan.js';
import type { RestoreDestination, RestoreOutcome, RestoreProgress } from './restore/run-restore.js';

/** What a backup takes in. */
export interface BackupOptions extends CallOptions {
  /** Ids of sources. Default: all. */
  readonly sources?: readonly string[] | undefined;
  /** Words that the point carries, as restic's tags. */
  readonly tags?: readonly string[] | undefined;
  /** Accept a point that misses what could not be read; it is marked and never `latest`. Default false. */
  readonly allowPartial?: boolean | undefined;
}

/** What a backup made. */
export interface BackupResult extends Omit<BackupOutcome, 'snapshotId'> {
  /** Absent only in the `details.result` of a backup that was refused. */
  readonly point?: RecoveryPoint | undefined;
  readonly durationMs: number;
}

/** What comes back, and where to. */
export interface RestoreOptions extends CallOptions {
  /** Default `latest`. */
  readonly point?: PointSelector | undefined;
  /** An absent or empty folder, where each source gets a folder of its own name, or the sources' own places. */
  readonly target: RestoreDestination;
  /** Ids of sources. Default: all in the point. */
  readonly sources?: readonly string[] | undefined;
  /** Read every restored file again and compare it with the hash of the backup. Default true. */
  readonly verify?: boolean | undefined;
  /** Keep what is whole when some paths are damaged. Default false; in place, damage then changes nothing. */
  readonly allowPartial?: boolean | undefined;
}

/** What a restore did. */
export interface RestoreResult extends RestoreOutcome {
  readonly point: RecoveryPoint;
  readonly durationMs: number;
}

/** How deep to look. */
export interface ValidateOptions extends CallOptions {
  /** Default `structure`. */
  readonly depth?: ValidationDepth | undefined;
}

/** What a validation found. */
export interface ValidationResult extends CheckOutcome {
  readonly depth: ValidationDepth;
  readonly durationMs: number;
}

/** Which points are wanted. */
export interface PointQuery {
  readonly source?: string | undefined;
  /** Earliest time, included. */
  readonly from?: Date | undefined;
  /** Latest time, excluded. */
  readonly to?: Date | undefined;
}

/** When the service was lost. */
export interface RecoverOptions extends CallOptions {
  readonly outageStartedAt: Date;
  /** The last write that was acknowledged; without it, the loss is counted from the outage. */
  readonly lastWriteAt?: Date | undefined;
}

/** How a rehearsal is run. */
export interface DrillOptions extends CallOptions {
  /** The last write that was acknowledged; without it, the loss is counted from the start of the drill. */
  readonly lastWriteAt?: Date | undefined;
  /** Leave the isolated folder for a look at it. Default false. */
  readonly keep?: boolean | undefined;
}

/** Period and form of a report. */
export interface ReportOptions extends CallOptions {
  readonly framework: 'soc2';
  readonly from: Date;
  /** Excluded. */
  readonly to: Date;
  /** Default `markdown`. */
  readonly format?: 'json' | 'markdown' | undefined;
  /** Where to write the report and its lists. Default: nowhere. */
  readonly folder?: string | undefined;
}

/** Events of a manager. */
export interface DisasterRecoveryEvents {
  readonly 'backup:started': { readonly sources: readonly string[] };
  readonly 'backup:progressed': BackupProgress;
  readonly 'backup:completed': BackupResult;
  readonly 'backup:failed': { readonly error: unknown };
  readonly 'restore:started': { readonly point: RecoveryPoint; readonly sources: readonly string[] };
  readonly 'restore:progressed': RestoreProgress;
  readonly 'restore:completed': RestoreResult;
  readonly 'restore:failed': { readonly error: unknown };
  readonly 'validation:progressed': CheckProgress;
  readonly 'validation:completed': ValidationResult;
  readonly 'recovery:phase-entered': { readonly id: string; readonly phase: RecoveryPhase };
  readonly 'recovery:completed': RecoveryOutcome;
  readonly 'recovery:failed': { readonly error: unknown };
  readonly 'drill:phase-entered': { readonly id: string; readonly phase: RecoveryPhase };
  readonly 'drill:completed': RecoveryOutcome;
  readonly 'drill:failed': { readonly error: unknown };
  readonly 'storage:damaged': StorageDamage;
  readonly 'notification:failed': { readonly notifier: string; readonly error: unknown };
  readonly 'evidence:failed': { readonly error: unknown };
}

/** Their names. */
export const disasterRecoveryEvents: EventNames<DisasterRecoveryEvents> = {
  'backup:started': true,
  'backup:progressed': true,
  'backup:completed': true,
  'backup:failed': true,
  'restore:started': true,
  'restore:progressed': true,
  'restore:completed': true,
  'restore:failed': true,
  'validation:progressed': true,
  'validation:completed': true,
  'recovery:phase-entered': true,
  'recovery:completed': true,
  'recovery:failed': true,
  'drill:phase-entered': true,
  'drill:completed': true,
  'drill:failed': true,
  'storage:damaged': true,
  'notification:failed': true,
  'evidence:failed': true,
};

/** Counters since the manager was made. */
export interface DisasterRecoveryStats {
  readonly backups: number;
  readonly failedBackups: number;
  readonly restores: number;
  readonly validations: number;
  readonly drills: number;
  readonly recoveries: number;
  /** Bytes read from sources. */
  readonly readBytes: number;
  /** Bytes of packs written. */
  readonly storedBytes: number;
  /** When the newest complete backup of this process began. */
  readonly lastBackupAt?: Date | undefined;
  /** Whether evidence outlives the process. */
  readonly evidenceDurable: boolean;
}
