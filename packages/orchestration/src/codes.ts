import type { CodeEntry } from '@mnops/core';

/** Error codes of this package; `docs/errors.md` is generated from them. */
export const codes = {
  MNOPS_ORCHESTRATION_PORT_UNAVAILABLE: {
    retryable: true,
    meaning: 'A port that a service should listen on is taken, or may not be used by this process.',
    remedy: 'Stop the process that has the port, or give the service another one in `ports[].port`.',
  },
  MNOPS_ORCHESTRATION_BUSY: {
    retryable: true,
    meaning: 'A rollout of this service is running, and the call asked not to replace it.',
    remedy: 'Wait for it with `settled()`, end it with `abort()`, or deploy with `onBusy: "supersede"`.',
  },
  MNOPS_ORCHESTRATION_ROLLED_BACK: {
    retryable: false,
    meaning: 'The new revision was not good enough, and the old one serves again.',
    remedy: 'Look at `details.result.reasons` and at the last log lines in them.',
  },
  MNOPS_ORCHESTRATION_NOT_READY: {
    retryable: false,
    meaning: 'Instances did not become ready, and there was no revision to go back to.',
    remedy: 'Look at `details.result.reasons` and at the last log lines in them.',
  },
  MNOPS_ORCHESTRATION_ABORTED: {
    retryable: false,
    meaning: 'The rollout was ended by `abort()`, by a newer deployment or by the end of its host.',
    remedy: 'None needed if that was meant; otherwise deploy again.',
  },
  MNOPS_ORCHESTRATION_STATE_INVALID: {
    retryable: false,
    meaning: 'The call does not fit the state of the service, such as `promote` without a paused rollout.',
    remedy: 'Look at `inspect()` and call what fits the state.',
  },
} as const;
codes satisfies Readonly<Record<`MNOPS_ORCHESTRATION_${string}`, CodeEntry>>;

/** Name of an error code of this package. */
export type OrchestrationErrorCode = keyof typeof codes;
