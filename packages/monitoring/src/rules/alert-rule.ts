import type { MetricQuery } from '@mnops/core/spi';
import type { Duration } from './duration.js';

/** Fires while the answer of a query is above, or below, a threshold. */
export interface AlertRule {
  /** Name of the alert; it becomes the label `alertname`. */
  readonly alert: string;
  /** What to ask, of the source that `source` names. Each group in the answer is an alert of its own. */
  readonly query: MetricQuery;
  /** Fires when the value is greater. Give this or `below`; with both, outside of the band. */
  readonly above?: number | undefined;
  /** Fires when the value is less. */
  readonly below?: number | undefined;
  /** Key in `metricSources`. Default `registry`: the host's own metrics. */
  readonly source?: string | undefined;
  /** How long the condition must hold before it fires. Default `0s`: at once. */
  readonly for?: Duration | undefined;
  /** How long it keeps firing after the condition ended. Default `0s`. */
  readonly keepFiringFor?: Duration | undefined;
  /** Added to the labels of the answer. `severity`: `critical`, `warning` (default) or `info`. */
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** `summary` becomes the notification's title, `description` its text. Templates: `{{ $value | humanizePercentage }}`, `{{ $labels.service }}`. */
  readonly annotations?: Readonly<Record<string, string>> | undefined;
}

/** Rules that are evaluated together, in order. */
export interface RuleGroup {
  readonly name: string;
  /** Time between evaluations. Default: the host's `tickMs`. */
  readonly interval?: Duration | undefined;
  readonly rules: readonly AlertRule[];
}

/** One alert that is pending or firing. */
export interface ActiveAlert {
  /** Identity: the rule and the labels. */
  readonly key: string;
  readonly alert: string;
  readonly group: string;
  readonly state: 'pending' | 'firing';
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /** Value at the last evaluation. */
  readonly value: number;
  /** When the condition began to hold. */
  readonly activeAt: Date;
  /** When it began to fire. */
  readonly firedAt?: Date | undefined;
}

/** An alert that went back to normal. */
export interface ResolvedAlert extends Omit<ActiveAlert, 'state'> {
  readonly state: 'resolved';
  readonly resolvedAt: Date;
}
