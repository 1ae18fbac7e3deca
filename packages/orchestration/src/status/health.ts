import type { HealthReport } from '@mnops/core/spi';
import type { ServiceStatus } from './service-status.js';

/** Health of a service: unhealthy without a ready instance, degraded with too few; one that is scaled to 0 is healthy. */
export function reportOf(status: ServiceStatus, nowMs: number): HealthReport {
  const { name, ready, replicas } = status;
  if (ready >= replicas) return { status: 'healthy', reasons: [], atMs: nowMs };
  const failing = status.revisions.flatMap(({ reasons }) => reasons.map(({ message }) => message));
  const reasons = [`${name}: ${ready} of ${replicas} instances are ready.`, ...failing];
  return { status: ready === 0 ? 'unhealthy' : 'degraded', reasons, atMs: nowMs };
}
