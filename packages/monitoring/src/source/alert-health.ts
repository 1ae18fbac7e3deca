import type { HealthReport, HostStatus } from '@mnops/core/spi';
import type { ActiveAlert } from '../rules/alert-rule.js';

/** Which alerts mean what. */
export interface AlertHealthOptions {
  readonly unhealthy?: readonly string[] | undefined;
  readonly degraded?: readonly string[] | undefined;
}

/** The health that firing alerts stand for: by name where names are given, else critical is unhealthy and warning degraded. */
export function healthOf(
  alerts: readonly ActiveAlert[],
  options: AlertHealthOptions,
  atMs: number,
  status: HostStatus,
): HealthReport {
  if (status !== 'ready' && status !== 'degraded') {
    return { status: 'unknown', reasons: [`monitoring is ${status}`], atMs };
  }
  const named = options.unhealthy !== undefined || options.degraded !== undefined;
  const firing = alerts.filter(({ state }) => state === 'firing');
  const bad = firing.filter(({ alert, labels }) =>
    named ? (options.unhealthy?.includes(alert) ?? false) : labels['severity'] === 'critical',
  );
  const weak = firing.filter(({ alert, labels }) =>
    named
      ? (options.degraded?.includes(alert) ?? false)
      : labels['severity'] !== 'critical' && labels['severity'] !== 'info',
  );
  const reasons = [...bad, ...weak].map(({ alert, annotations }) => `${alert}: ${annotations['summary'] ?? 'firing'}`);
  return { status: bad.length > 0 ? 'unhealthy' : weak.length > 0 ? 'degraded' : 'healthy', reasons, atMs };
}
