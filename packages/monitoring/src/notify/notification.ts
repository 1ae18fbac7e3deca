import type { Notification } from '@mnops/core/spi';
import type { ActiveAlert, ResolvedAlert } from '../rules/alert-rule.js';

/** The message for an alert: `annotations.summary` is its title, `annotations.description` its text, `labels.severity` its severity. */
export function notificationOf(alert: ActiveAlert | ResolvedAlert): Notification {
  const { severity } = alert.labels;
  return {
    key: alert.key,
    status: alert.state === 'resolved' ? 'resolved' : 'firing',
    severity: severity === 'critical' || severity === 'info' ? severity : 'warning',
    title: alert.annotations['summary'] ?? alert.alert,
    text: alert.annotations['description'] ?? '',
    labels: alert.labels,
    links: [],
    startedAtMs: (alert.firedAt ?? alert.activeAt).getTime(),
    ...(alert.state === 'resolved' ? { endedAtMs: alert.resolvedAt.getTime() } : {}),
  };
}
