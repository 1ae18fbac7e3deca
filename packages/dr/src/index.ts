export type { SourceResult } from './backup/run-backup.js';
export type { BackedUpFile, BackupProgress, PathFinding } from './backup/tally.js';
export type { CheckProgress, DamagedPath, ValidationDepth } from './check/run-check.js';
export { codes, type DisasterRecoveryErrorCode } from './codes.js';
export type { DisasterRecoveryConfig, RecoverySchedule, RepositorySettings } from './config.js';
export { DisasterRecoveryManager } from './disaster-recovery-manager.js';
export type { ControlEvidence } from './evidence/controls.js';
export type { ComplianceReport } from './evidence/report.js';
export type { ReportException, RunRecord } from './evidence/report-facts.js';
export type { PointSelector, RecoveryPoint } from './points.js';
export type {
  DrillSteps,
  PhaseTiming,
  RecoveryContext,
  RecoveryOutcome,
  RecoveryPhase,
  RecoveryPlan,
} from './recovery/recovery-plan.js';
export { type RecoveryObjective, type RecoveryTier, tiers } from './recovery/tiers.js';
export type { RepositoryFinding } from './repository/finding.js';
export type { RestoredFile } from './restore/restore-report.js';
export type { RestoreDestination, RestoreProgress } from './restore/run-restore.js';
export { type FilesOptions, type FilesSource, files } from './sources/files.js';
export type {
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
