import type { PerformanceAnomaly } from '@mnops/apm';
import type { ActiveAlert } from '@mnops/monitoring';
import type { AlertSpan, Mark } from '../report/report-data.js';
import type { Shop } from './shop.js';

type OpenAlert = { -readonly [K in keyof AlertSpan]: AlertSpan[K] };

/** Notes what the hosts announce while the story runs. */
export class Observer {
  readonly marks: Mark[] = [];
  readonly anomalies: { readonly anomaly: PerformanceAnomaly; readonly foundAtMs: number }[] = [];
  readonly weights: { readonly atMs: number; readonly percent: number }[] = [];
  readonly crashes: string[] = [];
  readonly #alerts = new Map<string, OpenAlert[]>();

  constructor({ apm, monitoring, orchestration }: Shop) {
    apm.on('anomaly:opened', (anomaly) => {
      this.anomalies.push({ anomaly, foundAtMs: Date.now() });
      this.mark('bad', `anomaly: ${anomaly.signal} of ${anomaly.service} ${anomaly.operation}`);
    });
    monitoring.on('alert:pended', (alert) => void this.#open(alert));
    monitoring.on('alert:fired', (alert) => {
      const span = this.#open(alert);
      span.firedMs = Date.now();
      span.summary = alert.annotations['summary'] ?? '';
      this.mark('bad', `alert ${alert.alert} fires`);
    });
    monitoring.on('alert:resolved', (alert) => {
      const span = this.#alerts.get(alert.key)?.at(-1);
      if (span !== undefined) span.resolvedMs = Date.now();
      this.mark('good', `alert ${alert.alert} resolves`);
    });
    orchestration.on('route:shifted', ({ service, shares }) => {
      if (service !== 'catalog' || shares.by !== 'weight') return;
      const percent = Math.min(...Object.values(shares.weights));
      this.weights.push({ atMs: Date.now(), percent });
      this.mark('change', `catalog 2.0.0 gets ${percent} %`);
    });
    orchestration.on('instance:crashed', ({ instance, message }) => this.crashes.push(`${instance}: ${message}`));
  }

  /** Adds a moment to the charts. */
  mark(kind: Mark['kind'], label: string): void {
    this.marks.push({ atMs: Date.now(), kind, label });
  }

  /** Alerts that fired between two moments. */
  alertsFired(fromMs: number, toMs: number = Date.now()): readonly AlertSpan[] {
    return this.alerts().filter(({ firedMs }) => firedMs !== undefined && firedMs >= fromMs && firedMs <= toMs);
  }

  /** Every alert that became active, fired or not. */
  alerts(): readonly AlertSpan[] {
    return [...this.#alerts.values()].flat();
  }

  #open(alert: ActiveAlert): OpenAlert {
    const spans = this.#alerts.get(alert.key) ?? [];
    this.#alerts.set(alert.key, spans);
    const last = spans.at(-1);
    if (
      last !== undefined &&
      last.resolvedMs === undefined &&
      (last.firedMs !== undefined || alert.firedAt !== undefined)
    )
      return last;
    const span: OpenAlert = {
      alert: alert.alert,
      summary: '',
      severity: alert.labels['severity'] ?? 'warning',
      pendingMs: alert.activeAt.getTime(),
    };
    spans.push(span);
    return span;
  }
}
