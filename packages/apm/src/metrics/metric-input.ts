import * as v from 'valibot';
import { kinds, maxLabel, maxLabels, maxName } from './metric.js';

const labelSchema = v.pipe(
  v.custom<string | number | boolean>(
    (value) => typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean',
    'a text, a number, true or false',
  ),
  v.check((value) => String(value).length <= maxLabel, `at most ${maxLabel} characters`),
);

/** Checks of `recordMetric`, for values that could not be used as they are. */
export const metricSchema: v.GenericSchema = v.pipe(
  v.strictObject({
    name: v.pipe(
      v.string('the name of the metric, as text'),
      v.check((name) => name !== '' && name.length <= maxName, `a name of 1 to ${maxName} characters`),
    ),
    kind: v.picklist(kinds),
    value: v.pipe(v.number(), v.finite()),
    unit: v.optional(v.string()),
    attributes: v.optional(
      v.pipe(
        v.custom<object>(
          (value) => typeof value === 'object' && value !== null && !(Symbol.iterator in value),
          'a plain object of labels',
        ),
        v.transform(firstLabels),
        v.record(v.string(), labelSchema),
        v.check((labels) => Object.keys(labels).length <= maxLabels, `at most ${maxLabels} labels`),
      ),
    ),
    at: v.optional(
      v.pipe(
        v.date(),
        v.check((at) => at.getTime() >= 0, 'a date from 1970 on'),
      ),
    ),
  }),
  v.forward(
    v.check(({ kind, value }) => kind !== 'counter' || value >= 0, 'what was added to the counter: 0 or more'),
    ['value'],
  ),
);

const known = new Set(['name', 'kind', 'value', 'unit', 'attributes', 'at']);

/** Whether a metric that can be used has something that is left out without a word. */
export function isOddMetric(metric: object): boolean {
  for (const key in metric) if (!known.has(key)) return true;
  const { unit, attributes } = metric as { readonly unit?: unknown; readonly attributes?: unknown };
  if (unit !== undefined && typeof unit !== 'string') return true;
  if (attributes === undefined) return false;
  return typeof attributes !== 'object' || attributes === null || Symbol.iterator in attributes;
}

/** Enough of the labels to say what is wrong with them. */
function firstLabels(attributes: object): Record<string, unknown> {
  const first: Record<string, unknown> = {};
  let count = 0;
  for (const key in attributes) {
    if (!Object.hasOwn(attributes, key)) continue;
    first[key] = (attributes as Record<string, unknown>)[key];
    count += 1;
    if (count > 2 * maxLabels) break;
  }
  return first;
}
