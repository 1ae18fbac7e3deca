import type { SpanAttributes } from '@mnops/core/spi';

/** How the values of a metric belong together. */
export type MetricKind = 'counter' | 'gauge' | 'histogram';

/** One value of a metric of this program. */
export interface Metric {
  readonly name: string;
  /**
   * `counter`: `value` is what was added since the last time, 0 or more. `gauge`: it is the level now. `histogram`: it is
   * one observation among many.
   */
  readonly kind: MetricKind;
  readonly value: number;
  /** Such as `ms` or `By`; it is kept with the series. */
  readonly unit?: string | undefined;
  /** Labels. At most 16; texts are cut at 256 characters, lists are left out. */
  readonly attributes?: SpanAttributes | undefined;
  /** Default now. */
  readonly at?: Date | undefined;
}

/** What became of the recorded values. */
export interface MetricStats {
  readonly recorded: number;
  /** Values that could not be used, such as NaN, a name that is no text or a counter that sinks. */
  readonly rejected: number;
  readonly series: number;
  /** Values that were counted under `(other)` because there are too many series. */
  readonly overflowed: number;
  /** Labels that were left out or cut. */
  readonly cutLabels: number;
}

/** How the values of a metric may belong together. */
export const kinds: readonly ['counter', 'gauge', 'histogram'] = ['counter', 'gauge', 'histogram'];
/** Most characters of a name. */
export const maxName = 256;
/** Most labels. */
export const maxLabels = 16;
/** Most characters of a label. */
export const maxLabel = 256;

/** Whether the value can be used, whatever it was declared to be. */
export function isMetric(metric: unknown): metric is Metric {
  if (typeof metric !== 'object' || metric === null) return false;
  const { name, kind, value, at } = metric as Partial<Record<keyof Metric, unknown>>;
  return (
    typeof name === 'string' &&
    name !== '' &&
    name.length <= maxName &&
    (kinds as readonly unknown[]).includes(kind) &&
    typeof value === 'number' &&
    Number.isFinite(value) &&
    (kind !== 'counter' || value >= 0) &&
    (at === undefined || (at instanceof Date && at.getTime() >= 0))
  );
}

/** Labels of a metric in the order of their names, and how many could not be taken as they are. */
export function labelsOf(attributes: unknown): {
  readonly labels: Readonly<Record<string, string>>;
  readonly cut: number;
} {
  if (typeof attributes !== 'object' || attributes === null)
    return { labels: {}, cut: attributes === undefined ? 0 : 1 };
  const entries: [string, string][] = [];
  let cut = 0;
  for (const key in attributes) {
    if (!Object.hasOwn(attributes, key)) continue;
    const value: unknown = (attributes as Record<string, unknown>)[key];
    const usable = typeof value === 'string' || typeof value === 'boolean' || typeof value === 'number';
    if (!usable || entries.length >= maxLabels || key.length > maxLabel) {
      cut += 1;
      // An object of a million fields costs no more than one of a hundred.
      if (cut >= 100) break;
      continue;
    }
    const text = String(value);
    if (text.length > maxLabel) cut += 1;
    entries.push([key, text.slice(0, maxLabel)]);
  }
  entries.sort(([a], [b]) => (a < b ? -1 : 1));
  return { labels: Object.fromEntries(entries), cut };
}
