import { MnopsError } from '@mnops/core';
import type { ConfigIssue } from '@mnops/core/config';
import { expect, it } from 'vitest';
import { canary, errorShare, latency, proxyFailures, recreate, rolling } from '../index.js';
import { withAnalysis } from './strategies.js';

function issueOf(make: () => unknown): ConfigIssue | undefined {
  try {
    make();
  } catch (error) {
    if (!MnopsError.is(error, 'MNOPS_CORE_CONFIG_INVALID')) throw error;
    return (error.details?.['issues'] as readonly ConfigIssue[] | undefined)?.[0];
  }
  return undefined;
}

function metricsOf(strategy: ReturnType<typeof canary> | undefined): Record<string, unknown> {
  if (strategy?.type !== 'canary' || strategy.analysis === undefined || strategy.analysis === 'none') return {};
  return Object.fromEntries(
    strategy.analysis.metrics.map(({ name, max, maxOverStable, maxRatioToStable, tolerance }) => [
      name,
      { max, maxOverStable, maxRatioToStable, tolerance },
    ]),
  );
}

const defaults = {
  'error-share': { maxOverStable: 0.01 },
  'latency-p99': { maxRatioToStable: 2, tolerance: 0.1 },
  'proxy-failures': { max: 0 },
};
const weights = [10, 50];
const dryRun = { ...errorShare({}), name: 'watched', dryRun: true };

it('judges a canary without limits by the defaults, also one that only has dry runs or is a plain object', () => {
  expect(metricsOf(canary({ weights, everyMs: 1_000 }))).toEqual(defaults);
  expect(metricsOf(canary({ weights, everyMs: 1_000, metrics: [dryRun] }))).toMatchObject(defaults);
  const steps = [{ setWeight: 10 }, { pause: {} }];
  expect(metricsOf(withAnalysis({ strategy: { type: 'canary', steps } }).strategy)).toEqual(defaults);
});

it('adds no default to limits that were given, and leaves a canary unjudged only on request', () => {
  expect(Object.keys(metricsOf(canary({ weights, everyMs: 1_000, maxP99Ms: 500 })))).toEqual([
    'latency-p99',
    'proxy-failures',
  ]);
  const own = { ...errorShare({ max: 0.5 }), name: 'own' };
  expect(Object.keys(metricsOf(canary({ weights, everyMs: 1_000, metrics: [own] })))).toEqual([
    'proxy-failures',
    'own',
  ]);
  expect(canary({ weights, everyMs: 1_000, analysis: 'none' })).toMatchObject({ analysis: 'none' });
});

it.each<[string, () => unknown, string, RegExp]>([
  [
    'a typo',
    () => canary({ weights, everyMs: 1, maxErorShareOverStable: 0.1 } as never),
    'maxErorShareOverStable',
    /maxErrorShareOverStable/,
  ],
  ['no weights', () => canary({ weights: [], everyMs: 1 }), 'weights', /weights/],
  ['too much weight', () => canary({ weights: [101], everyMs: 1 }), 'weights.0', /100/],
  ['no weight', () => canary({ weights: [0], everyMs: 1 }), 'weights.0', /1/],
  ['shrinking weights', () => canary({ weights: [50, 50], everyMs: 1 }), 'weights', /greater than the one before/],
  ['no time', () => canary({ weights, everyMs: 0 }), 'everyMs', /everyMs/],
  ['time that is no number', () => canary({ weights, everyMs: Number.NaN }), 'everyMs', /everyMs/],
  ['limits that are not judged', () => canary({ weights, everyMs: 1, analysis: 'none', maxP99Ms: 9 }), '', /no limits/],
  ['a share in percent', () => canary({ weights, everyMs: 1, maxErrorShare: 5 }), 'maxErrorShare', /1/],
  ['a metric without a limit', () => canary({ weights, everyMs: 1, metrics: [errorShare({})] }), 'metrics.0', /dryRun/],
  ['nothing', () => canary(undefined as never), '', /options/],
  ['a typo of rolling', () => rolling({ maxSurg: 1 } as never), 'maxSurg', /maxSurge/],
  ['a surge that is no amount', () => rolling({ maxSurge: -1 }), 'maxSurge', /maxSurge/],
  ['no room to move', () => rolling({ maxSurge: 0 }), '', /above 0/],
  ['no room in percent', () => rolling({ maxSurge: '0%', maxUnavailable: '0%' }), '', /above 0/],
  ['an option of recreate', () => recreate({ holdMs: 1 } as never), 'holdMs', /Remove/],
  ['a typo of errorShare', () => errorShare({ maximum: 1 } as never), 'maximum', /max/],
  ['a percentile over 100', () => latency({ percentile: 101, maxMs: 1 }), 'percentile', /100/],
  ['a typo of proxyFailures', () => proxyFailures({ mx: 1 } as never), 'mx', /max/],
])('refuses %s', (_, make, field, remedy) => {
  expect(issueOf(make)).toMatchObject({ field, received: expect.any(String), remedy: expect.stringMatching(remedy) });
});
