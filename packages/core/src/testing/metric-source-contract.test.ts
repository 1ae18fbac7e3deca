import { describe, expect, it } from 'vitest';
import { UnsupportedError } from '../errors/mnops-error.js';
import { errorFromResponse, httpClient } from '../http/index.js';
import type { MetricSample, MetricSource } from '../spi/metric-source.js';
import { failingCases } from './failing-cases.js';
import { faultServer } from './fault-server.js';
import { metricSourceContract } from './metric-source-contract.js';
import { goodRules, type MetricRules, referenceMetricSource } from './self-test/reference-metric-source.js';

metricSourceContract({ describe, it }, 'a source that keeps every point', async () => referenceMetricSource());

metricSourceContract({ describe, it }, 'a source over HTTP that speaks PromQL alone', async () => {
  const server = await faultServer();
  server.handler(() => ({ body: { data: [] } }));
  const client = httpClient({ maxBytes: 65_536 });
  const provider: MetricSource = {
    specVersion: 1,
    kind: 'metric-source',
    id: 'promql',
    capabilities: { promql: true, structured: false },
    async query(query, { signal }) {
      if (!('promql' in query)) throw new UnsupportedError('No selections.');
      const response = await client.request({ url: server.url, signal });
      if (response.status !== 200) throw errorFromResponse(response, { provider: 'promql', operation: 'query' });
      return response.json<{ data: MetricSample[] }>().data;
    },
  };
  const close = async () => {
    await client.close();
    await server.close();
  };
  return { provider, faults: server, close };
});

describe('metricSourceContract catches a source that', () => {
  const increase = 'counter: increase and rate over the window';
  const restart = 'counter: a restart of what counts loses nothing';
  const groups = 'counter: groups add up, one merged series without groups';
  const labels = 'counter: labels match by equality, by difference and by choice; an absent one is empty';
  const gauge = 'gauge: last, mean, min, max and sum, per series over the window and then across';
  const histogram = 'histogram: count, sum, mean and quantile of what was observed';
  const ratio = 'ratio: per group; a whole without a part is 0, one without a whole is absent';
  const cases: [string, Partial<MetricRules>, string[]][] = [
    ['loses a restart', { increase: (points) => (points.at(-1) ?? 0) - (points[0] ?? 0) }, [restart]],
    ['counts double', { increase: (points) => 2 * goodRules.increase(points) }, [increase, restart, groups, labels]],
    [
      'averages groups',
      { across: (reduce, values) => goodRules.across(reduce === 'increase' ? 'mean' : reduce, values) },
      [groups, labels, ratio],
    ],
    [
      'adds up the smallest',
      { across: (reduce, values) => goodRules.across(reduce === 'min' ? 'sum' : reduce, values) },
      [gauge],
    ],
    [
      'takes an absent label for a match of nothing',
      { matches: (value, match) => value !== undefined && goodRules.matches(value, match) },
      [labels],
    ],
    [
      'ignores what a label must not be',
      { matches: (value, match) => (typeof match === 'object' && 'not' in match) || goodRules.matches(value, match) },
      [labels],
    ],
    ['leaves all labels on', { groupKey: (all, by) => (by === undefined ? {} : { ...all }) }, [groups, ratio]],
    [
      'answers 0 without data',
      { empty: [{ labels: {}, value: 0, atMs: 1 }] },
      ['answers nothing, not 0, where there is no data', 'answers nothing where no label matches'],
    ],
    [
      'drops groups without a part',
      { ratio: (part, whole) => (part === undefined || whole === undefined ? undefined : part / whole) },
      [ratio],
    ],
    ['shows a part without a whole', { ratio: (part, whole) => (part ?? 0) / (whole ?? 1) }, [ratio]],
    ['does not notice an abort', { listens: false }, ['ends with the reason of an aborted call']],
    [
      'answers what it does not declare',
      { refusesPromql: false },
      ['declares at least one way to ask, and refuses the others before any I/O'],
    ],
    ['shows the maximum as median', { quantile: (sorted) => sorted.at(-1) ?? 0 }, [histogram]],
  ];
  it.each(cases)('%s', async (_, broken, expected) => {
    const failing = await failingCases((runner) =>
      metricSourceContract(runner, 'broken', async () => referenceMetricSource({ ...goodRules, ...broken })),
    );
    expect(failing).toEqual(expected);
  });
});
