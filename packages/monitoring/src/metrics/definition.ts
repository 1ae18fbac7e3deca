import { monitoringError } from '../errors.js';
import type { FamilyDefinition } from './family.js';
import type { HistogramOptions, MetricOptions, MetricType } from './types.js';

/** Upper bounds in seconds that suit request durations: 5 ms to 10 s. */
export const defaultBuckets: readonly number[] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

const metricName = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const labelName = /^[a-zA-Z_][a-zA-Z0-9_]*$/;

/** Checks a declaration once, so that the exposition is always valid. */
export function defineMetric(type: MetricType, options: MetricOptions | HistogramOptions): FamilyDefinition {
  const { name, help, unit, labels = [], limits = {} } = options;
  check(
    typeof name === 'string' && metricName.test(name),
    'name',
    'letters, digits, `_` and `:`, not beginning with a digit',
  );
  const fail = (field: string, expected: string): void => check(false, field, expected, name);
  if (typeof help !== 'string' || help === '') fail('help', 'one sentence of text');
  if (type === 'counter' && !name.endsWith('_total')) fail('name', 'a counter’s name that ends in `_total`');
  if (type === 'histogram' && /_(bucket|sum|count)$/.test(name))
    fail('name', 'no `_bucket`, `_sum` or `_count` at its end');
  if (unit !== undefined) {
    const base = type === 'counter' ? name.slice(0, -'_total'.length) : name;
    if (!base.endsWith(`_${unit}`)) fail('unit', `the end of the name, so a name like \`${base}_${unit}\``);
  }
  const seen = new Set<string>();
  for (const label of labels) {
    if (!labelName.test(label) || label.startsWith('__'))
      fail(`labels.${label}`, 'letters, digits and `_`, without `__` in front');
    if (type === 'histogram' && label === 'le') fail('labels.le', 'another name: `le` is the bucket’s');
    if (seen.has(label)) fail(`labels.${label}`, 'each label once');
    seen.add(label);
  }
  return {
    name,
    type,
    help,
    unit,
    labels: [...labels],
    limits: {
      seriesPerMetric: positive('limits.seriesPerMetric', limits.seriesPerMetric ?? 10_000, name),
      valuesPerLabel: positive('limits.valuesPerLabel', limits.valuesPerLabel ?? 1_000, name),
      labelValueBytes: positive('limits.labelValueBytes', limits.labelValueBytes ?? 1_024, name),
    },
    bounds:
      type === 'histogram' ? checkedBuckets((options as HistogramOptions).buckets ?? defaultBuckets, name) : undefined,
  };
}

/** Whether two declarations mean the same metric. */
export function sameDefinition(left: FamilyDefinition, right: FamilyDefinition): boolean {
  return (
    left.type === right.type &&
    left.labels.length === right.labels.length &&
    left.labels.every((label, index) => label === right.labels[index]) &&
    (left.bounds?.length ?? 0) === (right.bounds?.length ?? 0) &&
    (left.bounds === undefined || left.bounds.every((bound, index) => bound === right.bounds?.[index]))
  );
}

function checkedBuckets(buckets: readonly number[], name: string): Float64Array {
  check(Array.isArray(buckets) && buckets.length <= 512, 'buckets', 'a list of at most 512 numbers', name);
  buckets.forEach((bound, index) => {
    check(Number.isFinite(bound), `buckets[${index}]`, 'a finite number; +Inf is added by itself', name);
    check(
      index === 0 || bound > (buckets[index - 1] as number),
      `buckets[${index}]`,
      'a number above the one before',
      name,
    );
  });
  return Float64Array.from(buckets);
}

function positive(field: string, value: number, name: string): number {
  check(Number.isSafeInteger(value) && value > 0, field, 'a whole number above 0', name);
  return value;
}

function check(holds: boolean, field: string, expected: string, metric?: string): void {
  if (holds) return;
  const where = metric === undefined ? 'A metric' : `Metric ${metric}`;
  throw monitoringError('MNOPS_MONITORING_METRIC_INVALID', `${where}: \`${field}\` must be ${expected}.`, {
    details: { field, expected, metric },
  });
}
