import type { MnopsError } from '@mnops/core';
import type { OperationFields } from '@mnops/core/operations';
import { drError } from '../codes.js';
import type { RecoveryOutcome } from '../recovery/recovery-plan.js';
import type { BackupResult, RestoreResult, ValidationResult } from '../types.js';
import type { EvidenceDetails } from './evidence-log.js';

/** A record is small; the whole list stands in the result. */
const mostListed = 20;

/** What the record of a backup says. */
export function backupDetails(result: BackupResult): EvidenceDetails {
  return {
    point: result.point?.id ?? null,
    state: result.state,
    sources: result.sources.filter(({ state }) => state === 'complete').map(({ id }) => id),
    files: result.files.length,
    bytes: result.bytes,
    readBytes: result.readBytes,
    storedBytes: result.storedBytes,
    durationMs: result.durationMs,
    controls: ['A1.2'],
  };
}

/** What the events of a backup carry. */
export function backupContext(result: BackupResult): OperationFields<'mnops:dr:backup'> {
  return {
    snapshot: result.point?.id ?? null,
    files: result.files.length,
    bytes: result.bytes,
    newBytes: result.addedBytes,
    outcome: result.state,
  };
}

/** What the record of a restore says. */
export function restoreDetails(result: RestoreResult): EvidenceDetails {
  return {
    point: result.point.id,
    state: result.state,
    files: result.files.length,
    bytes: result.bytes,
    verifiedFiles: result.verifiedFiles,
    damaged: result.damaged.slice(0, mostListed).map(({ path }) => path.slice(0, 300)),
    durationMs: result.durationMs,
    controls: ['A1.2'],
  };
}

/** What the events of a restore carry. */
export function restoreContext(
  { point, files, bytes, state }: RestoreResult,
  sources: readonly string[] = point.sources,
): OperationFields<'mnops:dr:restore'> {
  return { source: sources.join(','), snapshot: point.id, files: files.length, bytes, outcome: state };
}

/** What the record of a validation says. */
export function validateDetails(result: ValidationResult): EvidenceDetails {
  return {
    depth: result.depth,
    state: result.state,
    points: result.points,
    packs: result.packs,
    readBytes: result.readBytes,
    findings: result.findings.slice(0, mostListed).map(({ object }) => object),
    durationMs: result.durationMs,
    controls: ['A1.2'],
  };
}

/** What the record of a drill or a recovery says. */
export function runDetails(outcome: RecoveryOutcome): EvidenceDetails {
  return {
    id: outcome.id,
    plan: outcome.plan,
    verdict: outcome.verdict,
    point: outcome.point?.id ?? null,
    rtoMs: outcome.rtoMs ?? null,
    rtoCovers: outcome.rtoCovers,
    rpoMs: outcome.rpoMs ?? null,
    rpoFrom: outcome.rpoFrom,
    tier: outcome.objective.tier ?? null,
    objectiveRtoMs: outcome.objective.rtoMs ?? null,
    objectiveRpoMs: outcome.objective.rpoMs ?? null,
    objectiveMet: outcome.objectiveMet ?? null,
    files: outcome.restore?.files.length ?? 0,
    bytes: outcome.restore?.bytes ?? 0,
    verifiedFiles: outcome.restore?.verifiedFiles ?? 0,
    damaged: (outcome.restore?.damaged ?? []).slice(0, mostListed).map(({ path }) => path.slice(0, 300)),
    phases: outcome.phases.map(({ phase, durationMs, outcome: ended }) => ({ phase, durationMs, outcome: ended })),
    controls: outcome.kind === 'drill' ? ['A1.3'] : ['CC7.5'],
  };
}

/** The error of a backup that could not read everything. */
export function incompleteBackup(result: BackupResult): MnopsError {
  const failed = result.sources
    .filter(({ state }) => state === 'failed')
    .map(({ id, error }) => (error === undefined ? id : `${id} (${error.message.replace(/\.$/, '')})`));
  const parts = [
    ...(failed.length > 0 ? [`sources that failed: ${failed.join(', ')}`] : []),
    ...(result.unreadable.length > 0 ? [`${result.unreadable.length} unreadable paths`] : []),
  ];
  return drError('MNOPS_DR_BACKUP_INCOMPLETE', `No recovery point was made: ${parts.join('; ')}.`, {
    details: { result },
  });
}

/** The error of a restore that could not bring everything back. */
export function incompleteRestore(result: RestoreResult): MnopsError {
  const wrong = result.findings.filter(({ severity }) => severity === 'error').length;
  const text = `${result.damaged.length} paths are lost or damaged, ${wrong} findings of the components themselves.`;
  return drError('MNOPS_DR_RESTORE_INCOMPLETE', text, { details: { result } });
}
