import { type CodeEntry, errorsOf, type MnopsError, type MnopsErrorOptions } from '@mnops/core';

/** Error codes of this package. The page `docs/errors.md` is generated from this table. */
export const codes = {
  MNOPS_SECRETS_PATH_INVALID: {
    retryable: false,
    meaning: 'A secret path is not in normal form.',
    remedy: 'Write it as segments joined by `/`, without empty, `.` or `..` segments, at most 512 bytes.',
  },
  MNOPS_SECRETS_REFERENCE_INVALID: {
    retryable: false,
    meaning: 'A `secret://` reference cannot be parsed.',
    remedy:
      'Write `secret://path`, `secret://path@version`, `secret://path#key` or both, with `%40` and `%23` in a path.',
  },
  MNOPS_SECRETS_VERSION_UNAVAILABLE: {
    retryable: false,
    meaning: 'The version exists but is deleted or destroyed; `details.state` says which.',
    remedy: 'Restore it if it is deleted, or read another version.',
  },
  MNOPS_SECRETS_PENDING_DELETION: {
    retryable: false,
    meaning: 'A deleted secret holds the name: it can still be restored, and nothing can be written there until then.',
    remedy: 'Restore it and write a new version, or delete it permanently first.',
  },
  MNOPS_SECRETS_EXPIRED: {
    retryable: false,
    meaning: 'The value is past its expiry.',
    remedy: 'Write a new version, move the expiry with `setExpiry`, or read it with `allowExpired: true`.',
  },
  MNOPS_SECRETS_VALUE_INVALID: {
    retryable: false,
    meaning: 'The value is not of the form that was asked for: not text, not JSON, or a field is missing.',
    remedy: 'Read it in its own form, or correct the value. The message names the field, never its content.',
  },
  MNOPS_SECRETS_SEALED: {
    retryable: false,
    meaning: 'The vault holds data, and its key cannot be had.',
    remedy: 'Bring the key file or passphrase back that the vault was written with. Without it the data is lost.',
  },
  MNOPS_SECRETS_LEASE_ENDED: {
    retryable: false,
    meaning: 'The credential of a lease is not valid any more: its time is over, or it was revoked.',
    remedy: 'Take a new lease. `lease.onChange` and the event `lease:lost` tell of it in time.',
  },
  MNOPS_SECRETS_ROTATION_FAILED: {
    retryable: false,
    meaning: 'A rotation step failed; `details.step` says which. The current value was left alone.',
    remedy: 'Look at the cause, mend the target or the rotator, and rotate again.',
  },
  MNOPS_SECRETS_ROTATION_IN_PROGRESS: {
    retryable: true,
    meaning: 'The path is being rotated, or the grace of its last rotation has not ended.',
    remedy: 'Wait for it, or pass `endGrace: true` to revoke the old value now.',
  },
} as const;
codes satisfies Readonly<Record<`MNOPS_SECRETS_${string}`, CodeEntry>>;

/** Name of an error code of this package. */
export type SecretsErrorCode = keyof typeof codes;

/** Creates an error with one of this package's codes. */
export const secretsError: (code: SecretsErrorCode, message: string, options?: MnopsErrorOptions) => MnopsError =
  errorsOf(codes);
