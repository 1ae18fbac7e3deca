import { codeOf } from '@mnops/core';
import { isUsageError } from '@mnops/core/command-line';

/** Exit codes of the command; each has one meaning. */
export const exitCodes = {
  done: 0,
  failed: 1,
  usage: 2,
  notFound: 3,
  denied: 4,
  conflict: 5,
  unavailable: 6,
  notIntact: 7,
  sealed: 8,
  found: 9,
} as const;

const byCode: Readonly<Record<string, number>> = {
  MNOPS_CORE_CONFIG_INVALID: exitCodes.usage,
  MNOPS_CORE_UNSUPPORTED: exitCodes.usage,
  MNOPS_CORE_DEPENDENCY_MISSING: exitCodes.usage,
  MNOPS_SECRETS_PATH_INVALID: exitCodes.usage,
  MNOPS_CORE_NOT_FOUND: exitCodes.notFound,
  MNOPS_CORE_ACCESS_DENIED: exitCodes.denied,
  MNOPS_CORE_UNAUTHENTICATED: exitCodes.denied,
  MNOPS_CORE_CONFLICT: exitCodes.conflict,
  MNOPS_SECRETS_ROTATION_IN_PROGRESS: exitCodes.conflict,
  MNOPS_CORE_UNAVAILABLE: exitCodes.unavailable,
  MNOPS_CORE_THROTTLED: exitCodes.unavailable,
  MNOPS_CORE_TIMEOUT: exitCodes.unavailable,
  MNOPS_CORE_INTEGRITY: exitCodes.notIntact,
  MNOPS_SECRETS_SEALED: exitCodes.sealed,
  MNOPS_CORE_KEY_INVALID: exitCodes.sealed,
};

/** The exit code that stands for an error. */
export function exitCodeOf(error: unknown): number {
  if (isUsageError(error)) return exitCodes.usage;
  return byCode[codeOf(error) ?? ''] ?? exitCodes.failed;
}
