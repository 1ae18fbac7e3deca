import { type CodeEntry, errorsOf, type MnopsError, type MnopsErrorOptions } from '@mnops/core';

/** Error codes of `@mnops/dr`. The page `docs/errors.md` is generated from this table. */
export const codes = {
  MNOPS_DR_WRONG_KEY: {
    retryable: false,
    meaning: 'The passphrase opens none of the whole key files of the repository.',
    remedy: 'Give the passphrase that the repository was created with; without it the backups cannot be read.',
  },
  MNOPS_DR_KEY_FILE_DAMAGED: {
    retryable: false,
    meaning: 'Every key file of the repository, and every copy of one, is missing or damaged.',
    remedy: 'Copy a file from another copy of the repository into its `keys` folder, under its own name.',
  },
  MNOPS_DR_REPOSITORY_DAMAGED: {
    retryable: false,
    meaning: 'A file of the repository that the call needs is missing or was changed.',
    remedy: 'Run `validate({ depth: "full" })` to see all damage, and bring the file back from another copy.',
  },
  MNOPS_DR_REPOSITORY_UNSUPPORTED: {
    retryable: false,
    meaning: 'The folder holds something else than a restic repository of version 1 or 2, or of version 1 for writing.',
    remedy: 'Give an empty or absent folder, or a repository of version 2 (`restic migrate upgrade_repo_v2`).',
  },
  MNOPS_DR_REPOSITORY_LOCKED: {
    retryable: true,
    meaning: 'Another program holds the repository for itself, for instance to delete unused data.',
    remedy: 'Wait until it has ended; if `details.owner` is a program that died, run `restic unlock`.',
  },
  MNOPS_DR_BACKUP_INCOMPLETE: {
    retryable: true,
    meaning: 'Some files or sources could not be read, so the backup does not stand for all that was asked.',
    remedy:
      'See `error` of `details.result.sources`, and `details.result.unreadable`; pass `allowPartial: true` to accept such a backup.',
  },
  MNOPS_DR_RESTORE_INCOMPLETE: {
    retryable: false,
    meaning: 'Some paths could not be restored byte for byte; `details.result.damaged` names each.',
    remedy: 'Restore another point, or pass `allowPartial: true` to keep what is whole.',
  },
  MNOPS_DR_POINT_NOT_FOUND: {
    retryable: false,
    meaning: 'No recovery point matches what was asked.',
    remedy: 'List the points with `recoveryPoints()`.',
  },
  MNOPS_DR_SOURCE_NOT_FOUND: {
    retryable: false,
    meaning: 'The recovery point does not hold the source, or the configuration does not name it.',
    remedy: 'Use an id from `sources` of the configuration that the point lists too.',
  },
  MNOPS_DR_TARGET_NOT_EMPTY: {
    retryable: false,
    meaning: 'The folder to restore into holds something already; nothing was written.',
    remedy: 'Give an absent or empty folder.',
  },
  MNOPS_DR_RECOVERY_FAILED: {
    retryable: false,
    meaning: 'A recovery or a drill ended before its service was ready.',
    remedy: 'See `details.result.phases` for the phase that failed, and `cause` for its reason.',
  },
} as const;
codes satisfies Readonly<Record<`MNOPS_DR_${string}`, CodeEntry>>;

/** Name of an error code of this package. */
export type DisasterRecoveryErrorCode = keyof typeof codes;

/** Creates an error with a code of this package. */
export const drError: (code: DisasterRecoveryErrorCode, message: string, options?: MnopsErrorOptions) => MnopsError =
  errorsOf(codes);
