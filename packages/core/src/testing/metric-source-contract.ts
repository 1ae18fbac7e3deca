import assert from 'node:assert/strict';
import { MnopsError } from '../errors/mnops-error.js';
import type {
  MetricQuery,
  MetricReduction,
  MetricSample,
  MetricSelection,
  MetricSource,
} from '../spi/metric-source.js';
import { type ContractRunner, type ContractSubject, casesOf, identityCases, remoteFailureCases } from './contract.js';
import { testCall } from './test-call.js';

/** Puts measurements where the source under test sees them. */
export interface MetricFeed {
  /** Sets the running total of a counter series; smaller than before is a restart of what counts. */
  counter(metric: string, labels: Readonly<Record<string, string>>, total: number): void | Promise<void>;
  /** Sets the value of a gauge series. */
  gauge(metric: string, labels: Readonly<Record<string, string>>, value: number): void | Promise<void>;
  /** Adds an observation to a histogram series. */
  observe(metric: string, labels: Readonly<Record<string, string>>, value: number): void | Promise<void>;
  /** Lets time pass; the source samples at least once in it, at its end. */
  tick(ms: number): Promise<void>;
}

/** A metric source under test. */
export interface MetricSourceSubject extends ContractSubject<MetricSource> {
  /** Where a test can choose the metrics; without it only what holds for any source is checked. */
  readonly feed?: MetricFeed | undefined;
}

/** What a source cannot do better. */
export interface MetricSourceLimits {
  /** Largest relative error of counters and means, for sources that extrapolate. Default 0.001. */
  readonly relativeError?: number | undefined;
  /** Largest relative error of quantiles, which buckets set. Default 0.25. */
  readonly quantileError?: number | undefined;
}

/** Holds a `MetricSource` to its interface: every reduction, grouping and match, ratios, and "no data" that is never 0. */
export function metricSourceContract(
  runner: ContractRunner,
  name: string,
  create: () => Promise<MetricSourceSubject>,
  limits: MetricSourceLimits = {},
): void {
  runner.describe(`metric source contract: ${name}`, () => {
    const test = casesOf(runner, create);
    identityCases<MetricSource>(test, 'metric-source');
    generalCases(test);
    counterCases(test, limits);
    gaugeCases(test, limits);
    histogramCases(test, limits);
    ratioCases(test, limits);
    remoteFailureCases<MetricSource>(test, {
      query: { readsBody: true, run: (provider, call) => provider.query(anyQuery(provider), call) },
    });
  });
}

type Test = (name: string, body: (subject: MetricSourceSubject) => Promise<void>) => void;
const minute = 60_000;

function anyQuery(provider: MetricSource): MetricQuery {
  if (!provider.capabilities.structured) return { promql: 'mnops_contract_absent' };
  return { metric: 'mnops_contract_absent', reduce: 'last', windowMs: minute };
}

function generalCases(test: Test): void {
  test('declares at least one way to ask, and refuses the others before any I/O', async ({ provider, faults }) => {
    const { promql, structured } = provider.capabilities;
    assert.ok(promql || structured, 'one way to ask');
    const refused = (error: unknown): boolean => MnopsError.is(error, 'MNOPS_CORE_UNSUPPORTED');
    if (!promql) await assert.rejects(provider.query({ promql: 'up' }, testCall()), refused);
    if (!structured) {
      const selection: MetricSelection = { metric: 'up', reduce: 'last', windowMs: minute };
      await assert.rejects(provider.query(selection, testCall()), refused);
    }
    assert.equal(faults?.requests.length ?? 0, 0);
  });

  test('answers nothing, not 0, where there is no data', async ({ provider }) => {
    if (!provider.capabilities.structured) return;
    for (const reduce of [
      'rate',
      'increase',
      'count',
      'sum',
      'mean',
      'last',
      'max',
      'min',
      { quantile: 0.5 },
    ] as const) {
      const samples = await provider.query({ metric: 'mnops_contract_absent', reduce, windowMs: minute }, testCall());
      assert.deepEqual(samples, [], `${JSON.stringify(reduce)} of an unknown metric`);
    }
    const selection: MetricSelection = { metric: 'mnops_contract_absent', reduce: 'rate', windowMs: minute };
    assert.deepEqual(await provider.query({ ratio: { part: selection, whole: selection } }, testCall()), []);
  });

  test('answers nothing where no label matches', async ({ provider, feed }) => {
    if (feed === undefined) return;
    await feed.gauge('contract_temperature', { room: 'a' }, 20);
    await feed.tick(1_000);
    const selection: MetricSelection = {
      metric: 'contract_temperature',
      reduce: 'last',
      windowMs: minute,
      match: { room: 'nowhere' },
    };
    assert.deepEqual(await provider.query(selection, testCall()), []);
  });

  test('ends with the reason of an aborted call', async ({ provider }) => {
    const reason = new Error('aborted before');
    const call = testCall({ signal: AbortSignal.abort(reason) });
    await assert.rejects(provider.query(anyQuery(provider), call), reason);
  });
}

function counterCases(test: Test, limits: MetricSourceLimits): void {
  const error = limits.relativeError ?? 0.001;
  const requests = (reduce: MetricReduction, more: Partial<MetricSelection> = {}): MetricSelection => {
    return { metric: 'contract_requests_total', reduce, windowMs: minute, ...more };
  };

  test('counter: increase and rate over the window', async ({ provider, feed }) => {
    if (feed === undefined) return;
    await climb(feed, { service: 'a' }, [0, 10, 20, 30, 40, 50, 60]);
    near(single(await provider.query(requests('increase'), testCall())), 60, error);
    near(single(await provider.query(requests('rate'), testCall())), 1, error);
  });

  test('counter: a restart of what counts loses nothing', async ({ provider, feed }) => {
    if (feed === undefined) return;
    await climb(feed, { service: 'a' }, [100, 110, 120, 130, 5, 15, 25]);
    near(single(await provider.query(requests('increase'), testCall())), 55, error);
  });

  test('counter: groups add up, one merged series without groups', async ({ provider, feed }) => {
    if (feed === undefined) return;
    for (let step = 0; step <= 6; step += 1) {
      await feed.counter('contract_requests_total', { service: 'a', route: '/x' }, step * 10);
      await feed.counter('contract_requests_total', { service: 'a', route: '/y' }, step * 20);
      await feed.counter('contract_requests_total', { service: 'b', route: '/x' }, step * 5);
      await feed.tick(10_000);
    }
    const merged = await provider.query(requests('increase'), testCall());
    near(single(merged), 210, error);
    assert.deepEqual(merged[0]?.labels, {}, 'a merged series has no labels');
    const grouped = byLabel(await provider.query(requests('increase', { by: ['service'] }), testCall()), 'service');
    assert.deepEqual([...grouped.keys()].sort(), ['a', 'b']);
    near(grouped.get('a'), 180, error);
    near(grouped.get('b'), 30, error);
  });

  test('counter: labels match by equality, by difference and by choice; an absent one is empty', async (subject) => {
    const { provider, feed } = subject;
    if (feed === undefined) return;
    for (let step = 0; step <= 6; step += 1) {
      await feed.counter('contract_requests_total', { code: '200' }, step);
      await feed.counter('contract_requests_total', { code: '404' }, step * 10);
      await feed.counter('contract_requests_total', { code: '500', canary: 'yes' }, step * 100);
      await feed.tick(10_000);
    }
    const total = async (match: MetricSelection['match']): Promise<number> =>
      single(await provider.query(requests('increase', { match }), testCall()));
    near(await total({ code: '200' }), 6, error);
    near(await total({ code: { not: '200' } }), 660, error);
    near(await total({ code: { oneOf: ['200', '404'] } }), 66, error);
    near(await total({ canary: '' }), 66, error);
    near(await total({ canary: { not: '' } }), 600, error);
    near(await total({ code: { oneOf: ['500', '404'] }, canary: 'yes' }), 600, error);
  });
}

function gaugeCases(test: Test, limits: MetricSourceLimits): void {
  const error = limits.relativeError ?? 0.001;
  test('gauge: last, mean, min, max and sum, per series over the window and then across', async ({
    provider,
    feed,
  }) => {
    if (feed === undefined) return;
    for (const [a, b] of [
      [1, 10],
      [5, 30],
      [3, 20],
    ] as const) {
      await feed.gauge('contract_depth', { queue: 'a' }, a);
      await feed.gauge('contract_depth', { queue: 'b' }, b);
      await feed.tick(10_000);
    }
    const ask = async (reduce: MetricReduction, match?: MetricSelection['match']): Promise<number> => {
      const selection: MetricSelection = { metric: 'contract_depth', reduce, windowMs: minute };
      return single(await provider.query(match === undefined ? selection : { ...selection, match }, testCall()));
    };
    near(await ask('last', { queue: 'a' }), 3, error);
    near(await ask('min'), 1, error);
    near(await ask('max'), 30, error);
    const mean = await ask('mean', { queue: 'a' });
    assert.ok(mean >= 1 && mean <= 5, `the mean ${mean} is among the values`);
    assert.ok((await ask('sum')) >= (await ask('sum', { queue: 'b' })), 'series add up');
  });
}

function histogramCases(test: Test, limits: MetricSourceLimits): void {
  const error = limits.relativeError ?? 0.001;
  test('histogram: count, sum, mean and quantile of what was observed', async ({ provider, feed }) => {
    if (feed === undefined) return;
    await feed.observe('contract_duration_seconds', { service: 'a' }, 0.1);
    await feed.tick(5_000);
    for (let step = 0; step < 10; step += 1) {
      for (let each = 0; each < 9; each += 1) await feed.observe('contract_duration_seconds', { service: 'a' }, 0.1);
      await feed.observe('contract_duration_seconds', { service: 'a' }, 2);
      await feed.tick(5_000);
    }
    const ask = async (reduce: MetricReduction): Promise<number> => {
      // The first observation only makes the series known: 100 came after it within the window.
      const selection: MetricSelection = { metric: 'contract_duration_seconds', reduce, windowMs: 52_000 };
      return single(await provider.query(selection, testCall()));
    };
    const count = await ask('count');
    assert.ok(count >= 100 * (1 - error) - 10 && count <= 101 * (1 + error), `about 100 observations, not ${count}`);
    near(await ask('increase'), count, error);
    near((await ask('sum')) / count, await ask('mean'), 0.01);
    near(await ask('mean'), 0.29, 0.1);
    const quantileError = limits.quantileError ?? 0.25;
    near(await ask({ quantile: 0.5 }), 0.1, quantileError);
    near(await ask({ quantile: 0.99 }), 2, quantileError);
  });
}

function ratioCases(test: Test, limits: MetricSourceLimits): void {
  const error = limits.relativeError ?? 0.001;
  test('ratio: per group; a whole without a part is 0, one without a whole is absent', async ({ provider, feed }) => {
    if (feed === undefined) return;
    for (let step = 0; step <= 6; step += 1) {
      await feed.counter('contract_requests_total', { service: 'a', class: '5xx' }, step);
      await feed.counter('contract_requests_total', { service: 'a', class: '2xx' }, step * 9);
      await feed.counter('contract_requests_total', { service: 'b', class: '2xx' }, step * 10);
      await feed.counter('contract_failures_total', { service: 'c', class: '5xx' }, step);
      await feed.tick(10_000);
    }
    const whole: MetricSelection = {
      metric: 'contract_requests_total',
      reduce: 'increase',
      windowMs: minute,
      by: ['service'],
    };
    const part: MetricSelection = { ...whole, match: { class: '5xx' } };
    const shares = byLabel(await provider.query({ ratio: { part, whole } }, testCall()), 'service');
    assert.deepEqual([...shares.keys()].sort(), ['a', 'b']);
    near(shares.get('a'), 0.1, error);
    assert.equal(shares.get('b'), 0);
    const foreign: MetricSelection = { ...whole, metric: 'contract_failures_total' };
    const lost = byLabel(await provider.query({ ratio: { part: foreign, whole } }, testCall()), 'service');
    assert.ok(!lost.has('c'), 'a part without a whole is absent');
  });
}

async function climb(feed: MetricFeed, labels: Record<string, string>, totals: readonly number[]): Promise<void> {
  for (const [index, total] of totals.entries()) {
    await feed.counter('contract_requests_total', labels, total);
    if (index < totals.length - 1) await feed.tick(10_000);
  }
  await feed.tick(1);
}

function single(samples: readonly MetricSample[]): number {
  assert.equal(samples.length, 1, `one series, not ${samples.length}`);
  const [sample] = samples;
  assert.ok(sample !== undefined && Number.isFinite(sample.atMs), 'a sample says when');
  return sample.value;
}

function byLabel(samples: readonly MetricSample[], label: string): Map<string, number> {
  for (const { labels } of samples) assert.deepEqual(Object.keys(labels), [label], 'a group has the labels asked for');
  return new Map(samples.map((sample) => [sample.labels[label] ?? '', sample.value]));
}

function near(actual: number | undefined, expected: number, relativeError: number): void {
  const message = `${actual} is not within ${relativeError * 100} % of ${expected}`;
  assert.ok(actual !== undefined && Math.abs(actual - expected) <= Math.abs(expected) * relativeError + 1e-9, message);
}
