import type { ConfigIssue } from '@mnops/core/config';
import * as v from 'valibot';
import type { MetricSeries } from './inputs.js';

/** A valid `Date`. */
export const dateSchema: v.GenericSchema<Date> = v.date('a date');

/** A series without its points, which are many: see `pointIssue`. */
export const metricSchema: v.GenericSchema<MetricSeries> = v.strictObject({
  service: v.string(),
  name: v.string(),
  role: v.picklist(['latency', 'success', 'failures', 'usage', 'traffic']),
  instance: v.optional(v.string()),
  points: v.custom<MetricSeries['points']>(Array.isArray, 'a list of points'),
});

/** Series, as `metricSchema` says. */
export const metricsSchema: v.GenericSchema<readonly MetricSeries[]> = v.pipe(
  v.array(metricSchema),
  v.maxLength(10_000, 'at most 10,000 series'),
);

/** Who calls whom. */
export const callsSchema: v.GenericSchema<readonly { readonly client: string; readonly server: string }[]> = v.array(
  v.strictObject({ client: v.string(), server: v.string() }),
);

/**
 * The first point that is none. Values that are not finite are allowed: they count as missing. What has no points, such as
 * a source, is passed over.
 */
export function pointIssue(metrics: readonly object[]): ConfigIssue | undefined {
  for (const [index, one] of metrics.entries()) {
    if (!('points' in one) || !Array.isArray(one.points)) continue;
    const at = firstThatIsNot(one.points, isPoint);
    if (at >= 0) return issueAt(`metrics.${index}.points.${at}`, 'a point with the numbers atMs and value');
  }
  return undefined;
}

/** The first line that is none. */
export function logIssue(logs: readonly unknown[]): ConfigIssue | undefined {
  const at = firstThatIsNot(logs, isLine);
  const expected = 'a line with the texts service and message and the number atMs';
  return at < 0 ? undefined : issueAt(`logs.${at}`, expected);
}

type Fields = Readonly<Record<string, unknown>>;

function isPoint({ atMs, value }: Fields): boolean {
  return Number.isFinite(atMs) && typeof value === 'number';
}

function isLine({ service, message, atMs, level, traceId, spanId }: Fields): boolean {
  return (
    typeof service === 'string' &&
    typeof message === 'string' &&
    Number.isFinite(atMs) &&
    isOptionalText(level) &&
    isOptionalText(traceId) &&
    isOptionalText(spanId)
  );
}

function isOptionalText(value: unknown): boolean {
  return value === undefined || typeof value === 'string';
}

function firstThatIsNot(items: readonly unknown[], is: (item: Fields) => boolean): number {
  for (let at = 0; at < items.length; at += 1) {
    try {
      if (!is((items[at] ?? {}) as Fields)) return at;
    } catch {
      // A getter or a proxy may throw at any field.
      return at;
    }
  }
  return -1;
}

function issueAt(field: string, expected: string): ConfigIssue {
  return { field, expected, received: 'another thing', remedy: 'Leave it out, or correct it.' };
}
