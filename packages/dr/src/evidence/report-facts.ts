import type { AuditVerification } from '@mnops/core/audit';
import type { AuditRecord, JsonValue } from '@mnops/core/spi';
import type { RecoveryObjective } from '../recovery/tiers.js';

/** One drill or recovery, as the evidence tells it. */
export interface RunRecord {
  readonly id: string;
  readonly at: string;
  readonly plan: string;
  readonly verdict: string;
  readonly rtoMs: JsonValue;
  readonly rtoCovers: string;
  readonly rpoMs: JsonValue;
  readonly objectiveMet: JsonValue;
  readonly verifiedFiles: number;
}

/** Something in the period that did not go as it should. */
export interface ReportException {
  readonly kind: string;
  readonly at: string;
  readonly code: string;
}

/** What a report is made from. */
export interface ReportFacts {
  readonly service: string;
  readonly from: Date;
  readonly to: Date;
  readonly sources: readonly string[];
  /** Sources without a complete backup in the period. */
  readonly uncovered: readonly string[];
  readonly objective: RecoveryObjective;
  readonly repositoryId: string;
  readonly counts: {
    readonly backups: number;
    readonly failedBackups: number;
    readonly restores: number;
    readonly validations: number;
    readonly fullValidations: number;
    readonly drills: number;
    readonly recoveries: number;
  };
  readonly drills: readonly RunRecord[];
  readonly recoveries: readonly RunRecord[];
  readonly exceptions: readonly ReportException[];
  readonly verification: AuditVerification | undefined;
  readonly durable: boolean;
  readonly signed: boolean;
}

/** Counts and lists what the records of a period say. */
export function factsOf(
  records: readonly AuditRecord[],
  base: Omit<ReportFacts, 'uncovered' | 'counts' | 'drills' | 'recoveries' | 'exceptions'>,
): ReportFacts {
  const of = (kind: string): AuditRecord[] => records.filter(({ operation }) => operation === `dr:${kind}`);
  const good = of('backup').filter(({ outcome }) => outcome === 'ok');
  const covered = new Set(good.flatMap(({ details }) => textList(details?.['sources'])));
  const validations = of('validate');
  return {
    ...base,
    uncovered: base.sources.filter((id) => !covered.has(id)),
    counts: {
      backups: good.length,
      failedBackups: of('backup').length - good.length,
      restores: of('restore').length,
      validations: validations.length,
      fullValidations: validations.filter(({ details }) => details?.['depth'] === 'full').length,
      drills: of('drill').length,
      recoveries: of('recovery').length,
    },
    drills: of('drill').map(runOf),
    recoveries: of('recovery').map(runOf),
    exceptions: records
      .filter(({ outcome }) => outcome !== 'ok')
      .map(({ operation, at, code }) => ({ kind: operation.slice(3), at: at.toISOString(), code: code ?? '' })),
  };
}

function runOf({ at, details = {} }: AuditRecord): RunRecord {
  const text = (name: string): string => (typeof details[name] === 'string' ? (details[name] as string) : '');
  return {
    id: text('id'),
    at: at.toISOString(),
    plan: text('plan'),
    verdict: text('verdict'),
    rtoMs: details['rtoMs'] ?? null,
    rtoCovers: text('rtoCovers'),
    rpoMs: details['rpoMs'] ?? null,
    objectiveMet: details['objectiveMet'] ?? null,
    verifiedFiles: typeof details['verifiedFiles'] === 'number' ? details['verifiedFiles'] : 0,
  };
}

function textList(value: JsonValue | undefined): string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
}
