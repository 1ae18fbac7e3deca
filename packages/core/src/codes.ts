import type { CodeEntry } from './errors/mnops-error.js';

/** Error codes that every package shares. The page `docs/errors.md` is generated from this table. */
export const codes = {
  MNOPS_CORE_CONFIG_INVALID: {
    retryable: false,
    meaning: 'An option or a configuration value is missing, unknown or malformed.',
    remedy: 'Correct the fields that `details.issues` lists.',
  },
  MNOPS_CORE_DEPENDENCY_MISSING: {
    retryable: false,
    meaning: 'An optional package that this feature needs is not installed.',
    remedy: 'Install it with the `npm install` line in the message.',
  },
  MNOPS_CORE_UNSUPPORTED: {
    retryable: false,
    meaning: 'The provider cannot do what was asked; nothing was sent.',
    remedy: 'Use a provider that declares the capability named in the message.',
  },
  MNOPS_CORE_ACCESS_DENIED: {
    retryable: false,
    meaning: 'The caller is known but not allowed to do this.',
    remedy: 'Grant the right, or act as somebody who has it.',
  },
  MNOPS_CORE_UNAUTHENTICATED: {
    retryable: false,
    meaning: 'Credentials are missing, expired or wrong.',
    remedy: 'Check the credential that the provider was given.',
  },
  MNOPS_CORE_NOT_FOUND: {
    retryable: false,
    meaning: 'What was asked for does not exist.',
    remedy: 'Check the name; `get` calls answer `undefined` instead of this error.',
  },
  MNOPS_CORE_CONFLICT: {
    retryable: false,
    meaning: 'The state is not the one that the call required: something exists already, or changed meanwhile.',
    remedy: 'Read the current state and decide again.',
  },
  MNOPS_CORE_THROTTLED: {
    retryable: true,
    meaning: 'The back end asked to slow down.',
    remedy: 'Wait `retryAfterMs`, or lower the rate of calls.',
  },
  MNOPS_CORE_UNAVAILABLE: {
    retryable: true,
    meaning: 'The back end could not be reached or failed on its side.',
    remedy: 'Check the address and the health of the back end.',
  },
  MNOPS_CORE_TIMEOUT: {
    retryable: true,
    meaning: 'The deadline passed before an answer came.',
    remedy: 'Raise `timeoutMs`, or look at the back end.',
  },
  MNOPS_CORE_ABORTED: {
    retryable: false,
    meaning: 'The work was cancelled, by a signal without a reason of its own or because its host stopped.',
    remedy: 'None needed if the cancellation was meant.',
  },
  MNOPS_CORE_TOO_LARGE: {
    retryable: false,
    meaning: 'A value, an answer or a file is over its stated limit.',
    remedy: 'Make it smaller, or raise the limit that the message names.',
  },
  MNOPS_CORE_RESPONSE_INVALID: {
    retryable: false,
    meaning: 'The back end answered with something its protocol does not allow.',
    remedy: 'Check that the address points at the right service, and at a supported version of it.',
  },
  MNOPS_CORE_CLOSED: {
    retryable: false,
    meaning: 'The object was stopped or closed before this call.',
    remedy: 'Create a new one; a stopped host is not started again.',
  },
  MNOPS_CORE_STORAGE_DAMAGED: {
    retryable: false,
    meaning: 'Part of a durable file is damaged; the damaged records were skipped, the rest is in use.',
    remedy: 'Restore the file from a backup if the lost records matter, and check the disk.',
  },
  MNOPS_CORE_STORAGE_UNREADABLE: {
    retryable: false,
    meaning:
      'A durable file cannot be opened: both copies of its header are damaged, or it is of another kind or version.',
    remedy: 'Check that the path is right; otherwise restore the file from a backup.',
  },
  MNOPS_CORE_STORAGE_FAILED: {
    retryable: false,
    meaning: 'A file or folder could not be read or written: missing rights, full disk, read-only file system.',
    remedy: 'Make the path in `details.path` readable and writable for this process, with free space.',
  },
  MNOPS_CORE_LOCKED: {
    retryable: true,
    meaning: 'Another process holds the folder or file.',
    remedy: 'Stop the process that `details.owner` names, or give this one a folder of its own.',
  },
  MNOPS_CORE_KEY_INVALID: {
    retryable: false,
    meaning: 'A key is missing, of the wrong length, or not the one that the data was sealed with.',
    remedy: 'Give the key that the data was written with.',
  },
  MNOPS_CORE_INTEGRITY: {
    retryable: false,
    meaning: 'Sealed data did not pass authentication: it was changed, cut or moved to another place.',
    remedy: 'Restore the data from a backup; do not use what was read.',
  },
  MNOPS_CORE_AUDIT_UNAVAILABLE: {
    retryable: true,
    meaning: 'The audit record could not be made durable, so the operation was refused.',
    remedy: 'Make the audit folder or sink writable again, or switch the audit off knowingly with `audit: false`.',
  },
} as const;
codes satisfies Readonly<Record<`MNOPS_CORE_${string}`, CodeEntry>>;

/** Name of an error code that every package shares. */
export type CoreErrorCode = keyof typeof codes;
