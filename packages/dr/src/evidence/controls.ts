import type { JsonValue } from '@mnops/core/spi';
import type { ReportFacts } from './report-facts.js';

/** One control of a framework with what speaks for it and what is missing. */
export interface ControlEvidence {
  /** Id in the framework, such as `A1.3`. */
  readonly id: string;
  /** What the control asks, in our words. */
  readonly asks: string;
  readonly evidence: readonly string[];
  readonly gaps: readonly string[];
}

const quarterMs = 92 * 86_400_000;

/** Evidence for the availability, incident and encryption criteria of SOC 2 (AICPA Trust Services Criteria, 2017). */
export function soc2Controls(facts: ReportFacts): ControlEvidence[] {
  return [
    backupInfrastructure(facts),
    recoveryTesting(facts),
    incidentRecovery(facts),
    encryption(facts),
    disruptionRisk(facts),
  ];
}

function backupInfrastructure({ counts, sources, uncovered, exceptions }: ReportFacts): ControlEvidence {
  const gaps = uncovered.map((id) => `Source ${id} has no complete backup in the period.`);
  if (counts.backups === 0) gaps.push('No backup in the period.');
  if (counts.fullValidations === 0) gaps.push('The repository was not read in full in the period.');
  if (exceptions.some(({ kind }) => kind === 'backup')) gaps.push('Backups failed; see the list of exceptions.');
  gaps.push('A second location of the backups is not recorded here.');
  return {
    id: 'A1.2',
    asks: 'Backup and recovery infrastructure is there, used and watched.',
    evidence: [
      `${counts.backups} complete backups and ${counts.failedBackups} failed ones of ${sources.length} sources.`,
      `${counts.validations} validations of the repository, ${counts.fullValidations} of them of every byte.`,
      'Every backup lists path, size and SHA-256 of what it read, inside the recovery point itself.',
    ],
    gaps,
  };
}

function recoveryTesting({ drills, to, objective }: ReportFacts): ControlEvidence {
  const passed = drills.filter(({ verdict }) => verdict === 'passed');
  const gaps: string[] = [];
  const last = drills.at(-1);
  if (drills.length === 0)
    gaps.push('No drill in the period; at least one a year is asked for, one a quarter is usual.');
  else if (last !== undefined && to.getTime() - Date.parse(last.at) > quarterMs) {
    gaps.push('The last drill is more than a quarter before the end of the period.');
  }
  if (passed.some(({ rtoCovers }) => rtoCovers === 'data')) {
    gaps.push('Some drills proved the data only and started no service: their RTO is not that of the service.');
  }
  for (const { id, verdict } of drills) if (verdict !== 'passed') gaps.push(`Drill ${id} failed.`);
  if (objective.rtoMs === undefined && objective.rpoMs === undefined)
    gaps.push('No RTO or RPO is set to measure against.');
  for (const { id, objectiveMet } of passed) if (objectiveMet === false) gaps.push(`Drill ${id} missed its objective.`);
  return {
    id: 'A1.3',
    asks: 'Recovery procedures are tested, with the integrity and completeness of the backed-up data.',
    evidence: drills.map(
      ({ id, at, verdict, rtoMs, rpoMs, verifiedFiles }) =>
        `Drill ${id} of ${at}: ${verdict}, RTO ${milliseconds(rtoMs)}, RPO ${milliseconds(rpoMs)}, ` +
        `${verifiedFiles} files compared with the hashes of the backup.`,
    ),
    gaps,
  };
}

function incidentRecovery({ recoveries }: ReportFacts): ControlEvidence {
  return {
    id: 'CC7.5',
    asks: 'Recovery from identified incidents is carried out and learnt from.',
    evidence:
      recoveries.length === 0
        ? ['No recovery of production data in the period.']
        : recoveries.map(
            ({ id, at, verdict, rtoMs, rpoMs }) =>
              `Recovery ${id} of ${at}: ${verdict}, RTO ${milliseconds(rtoMs)}, RPO ${milliseconds(rpoMs)}.`,
          ),
    gaps: [
      ...recoveries.filter(({ verdict }) => verdict !== 'passed').map(({ id }) => `Recovery ${id} failed.`),
      ...(recoveries.length === 0
        ? []
        : ['Root cause and changes to the plan after a recovery are not recorded here.']),
    ],
  };
}

function encryption({ repositoryId }: ReportFacts): ControlEvidence {
  return {
    id: 'CC6.7',
    asks: 'Data is protected while it is moved and kept.',
    evidence: [
      `Repository ${repositoryId.slice(0, 8)}: every object is sealed with AES-256-CTR and Poly1305-AES; the format has no plain mode.`,
      'The data key is stored only under a key made from the passphrase by scrypt; the passphrase is not stored.',
    ],
    gaps: ['Who may read the passphrase, and when it was changed, is not recorded here.'],
  };
}

function disruptionRisk({ objective }: ReportFacts): ControlEvidence {
  const set = objective.rtoMs !== undefined || objective.rpoMs !== undefined;
  const tier = objective.tier === undefined ? '' : `Tier ${objective.tier}: `;
  return {
    id: 'CC9.1',
    asks: 'The risk of business disruption is judged, and what follows from it is set.',
    evidence: set ? [`${tier}RTO ${milliseconds(objective.rtoMs)}, RPO ${milliseconds(objective.rpoMs)}.`] : [],
    gaps: set ? ['The assessment behind the objective is not recorded here.'] : ['No objective is set.'],
  };
}

function milliseconds(value: JsonValue | undefined): string {
  return typeof value === 'number' ? `${Math.round(value)} ms` : 'not measured';
}
