import type { CallOptions } from '@mnops/core/spi';
import type { RotationSettings } from '../settings.js';
import type { JournalState, RotationOutcome, RotationStep } from './journal.js';

/** How one rotation is asked for. */
export interface RotateOptions extends CallOptions {
  /** Grace of this rotation in milliseconds. Default: the configured one. */
  readonly graceMs?: number | undefined;
  /** Revoke the old value of the last rotation now if its grace still lasts. Default false: that is an error. */
  readonly endGrace?: boolean | undefined;
}

/** What a rotation came to. */
export interface RotationResult {
  readonly path: string;
  /** `grace`: the new value is current, the old one works until `revokeAt`. */
  readonly outcome: 'grace' | RotationOutcome;
  /** The new version. */
  readonly version?: string | undefined;
  readonly previousVersion: string;
  readonly revokeAt?: Date | undefined;
  readonly startedAt: Date;
  /** When the last step was recorded. */
  readonly finishedAt: Date;
}

/** Where a path's rotation stands. */
export interface RotationState {
  readonly path: string;
  readonly state: 'idle' | 'running' | 'grace' | 'failed';
  /** Last step that is done, of the rotation that is under way. */
  readonly step?: RotationStep | 'discarding' | undefined;
  readonly version?: string | undefined;
  readonly revokeAt?: Date | undefined;
  readonly lastRotatedAt?: Date | undefined;
  readonly nextRotationAt?: Date | undefined;
  /** Why the last rotation failed; present in state `failed`. */
  readonly failure?: { readonly step: string; readonly code?: string | undefined; readonly at: Date } | undefined;
}

/** A journal's state as a result. */
export function toResult({ path }: RotationSettings, state: JournalState | undefined): RotationResult {
  const { oldVersion = '', version, revokeAtMs, startedAtMs = 0, atMs = 0 } = state ?? {};
  return {
    path,
    outcome: state?.step === 'grace-recorded' ? 'grace' : (state?.outcome ?? 'completed'),
    ...(version === undefined ? {} : { version }),
    previousVersion: oldVersion,
    ...(state?.step === 'grace-recorded' && revokeAtMs !== undefined ? { revokeAt: new Date(revokeAtMs) } : {}),
    startedAt: new Date(startedAtMs),
    finishedAt: new Date(atMs),
  };
}

/** A journal's state in the terms of users. */
export function toState(
  { path }: RotationSettings,
  journal: JournalState | undefined,
  nextAtMs: number | undefined,
): RotationState {
  const common = {
    path,
    ...(journal?.rotatedAtMs === undefined ? {} : { lastRotatedAt: new Date(journal.rotatedAtMs) }),
    ...(nextAtMs === undefined ? {} : { nextRotationAt: new Date(nextAtMs) }),
  };
  if (journal === undefined) return { ...common, state: 'idle' };
  const { step, version, revokeAtMs, outcome, failedStep, code, atMs } = journal;
  if (step === 'closed') {
    if (outcome !== 'failed' && outcome !== 'superseded') return { ...common, state: 'idle' };
    const failure = { step: failedStep ?? 'unknown', ...(code === undefined ? {} : { code }), at: new Date(atMs) };
    return { ...common, state: 'failed', failure };
  }
  return {
    ...common,
    state: step === 'grace-recorded' ? 'grace' : 'running',
    step,
    ...(version === undefined ? {} : { version }),
    ...(step === 'grace-recorded' && revokeAtMs !== undefined ? { revokeAt: new Date(revokeAtMs) } : {}),
  };
}
