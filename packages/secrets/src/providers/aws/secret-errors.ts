import { coreError, MnopsError } from '@mnops/core';
import { secretsError } from '../../codes.js';

const provider = 'aws';

/** The error for a condition that does not hold. */
export function conflict(path: string, why: string, current?: string | undefined): MnopsError {
  return coreError('MNOPS_CORE_CONFLICT', `The secret ${path} was not changed: ${why}.`, {
    provider,
    details: { path, ...(current === undefined ? {} : { currentVersion: current }) },
  });
}

/** The error for a change to what does not exist. */
export function notFound(path: string, what?: string): MnopsError {
  const message = what === undefined ? `There is no secret ${path}.` : `The secret ${path} has no ${what}.`;
  return coreError('MNOPS_CORE_NOT_FOUND', message, { provider, details: { path } });
}

/** The error for reading a secret that is deleted and can be restored. */
export function deleted(path: string): MnopsError {
  return secretsError('MNOPS_SECRETS_VERSION_UNAVAILABLE', `The secret ${path} is deleted.`, {
    provider,
    details: { path, state: 'deleted' },
    remedy: 'Restore it.',
  });
}

/** Whether AWS said that there is no such thing. */
export function isNotFound(error: unknown): boolean {
  return MnopsError.is(error, 'MNOPS_CORE_NOT_FOUND');
}

/** Whether AWS said that the secret is deleted and can be restored. */
export function isPendingDeletion(error: unknown): boolean {
  return MnopsError.is(error, 'MNOPS_SECRETS_PENDING_DELETION');
}
