import type { HealthReport, HostStatus } from '@mnops/core/spi';
import type { RecoveryPoint } from './points.js';
import type { RecoveryObjective } from './recovery/tiers.js';

/** Judges a manager: by its status, known damage, and the age of the newest complete point beside the RPO. */
export function judgeHealth(
  status: HostStatus,
  reasons: readonly string[],
  points: readonly RecoveryPoint[],
  { rpoMs }: RecoveryObjective,
  nowMs: number,
): HealthReport {
  if (status !== 'ready' && status !== 'degraded') {
    return {
      status: status === 'failed' ? 'unhealthy' : 'unknown',
      reasons: [`The manager is ${status}.`, ...reasons],
      atMs: nowMs,
    };
  }
  const found = [...reasons];
  const newest = points.findLast((point) => !point.partial);
  if (newest === undefined) found.push('There is no complete recovery point yet.');
  else if (rpoMs !== undefined && nowMs - newest.time.getTime() > rpoMs) {
    const ageMs = nowMs - newest.time.getTime();
    found.push(`The newest complete point is ${Math.round(ageMs)} ms old; the RPO is ${rpoMs} ms.`);
  }
  return { status: found.length === 0 ? 'healthy' : 'degraded', reasons: found, atMs: nowMs };
}
