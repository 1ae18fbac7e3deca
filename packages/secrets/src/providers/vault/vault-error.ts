import { coreError, type MnopsError } from '@mnops/core';
import { errorFromResponse } from '@mnops/core/http';

/** Id of the provider, in errors. */
export const providerId = 'hashicorp-vault';

/** Answers by which a Vault says that it cannot serve now, with what to do. */
const notReady: Readonly<Record<number, string>> = {
  412: 'The node had not caught up with an earlier write; try again.',
  472: 'The address is a disaster-recovery secondary; use the active cluster.',
  473: 'The node is a performance standby that could not serve this; use the address of the active node.',
  501: 'The Vault is not initialised: run `vault operator init`.',
  503: 'The Vault is sealed or in maintenance: look at `vault status`.',
};

/** Whether an answer says that the server cannot serve now, whatever was asked. */
export function isOutage(status: number): boolean {
  return status === 429 || status >= 500 || Object.hasOwn(notReady, status);
}

/** The error that an answer stands for. Nothing that the server wrote is quoted: it may repeat what it was sent. */
export function vaultError(
  status: number,
  operation: string,
  headers: Readonly<Record<string, string>> = {},
): MnopsError {
  const context = { provider: providerId, operation };
  const known = errorFromResponse({ status, headers }, context);
  const remedy = notReady[status];
  if (remedy !== undefined) {
    return coreError('MNOPS_CORE_UNAVAILABLE', `${providerId}: ${operation} was answered with ${status}.`, {
      ...context,
      details: { status },
      retryAfterMs: known.retryAfterMs,
      remedy,
    });
  }
  if (status !== 400) return known;
  return coreError('MNOPS_CORE_RESPONSE_INVALID', `${providerId}: ${operation} was refused as malformed (400).`, {
    ...context,
    details: { status },
    remedy: 'Check that the mount is of the kind and version that the provider was told.',
  });
}

/** The error for an answer that lacks what its protocol promises. */
export function answerInvalid(operation: string, field: string): MnopsError {
  return coreError('MNOPS_CORE_RESPONSE_INVALID', `${providerId}: the answer to ${operation} has no valid ${field}.`, {
    provider: providerId,
    operation,
    details: { field },
  });
}
