import { describe, expect, it } from 'vitest';
import { randomOf } from '../testing/random.js';
import { randomIds } from '../tracing/random-ids.js';
import type { ReadableSpanLike } from '../tracing/recorded-span.js';
import { OperationHistory } from './operation-history.js';
import { resolveSampling, type TailSamplingConfig } from './sampling-config.js';
import { globTest } from './span-match.js';
import { TailSampler } from './tail-sampler.js';

const resource = { 'service.name': 'shop' };
const ids = randomIds(randomOf(2));

interface Sketch {
  readonly traceId: string;
  readonly name?: string;
  readonly root?: boolean;
  readonly failed?: boolean;
  readonly attributes?: Record<string, unknown>;
  readonly state?: string;
}

function spanOf({
  traceId,
  name = 'work',
  root = false,
  failed = false,
  attributes = {},
  state,
}: Sketch): ReadableSpanLike {
  const traceState = state === undefined ? undefined : { serialize: () => state };
  const context = { traceId, spanId: ids.generateSpanId(), traceFlags: 0, traceState };
  return {
    name,
    kind: 1,
    spanContext: () => context,
    parentSpanContext: root ? undefined : { spanId: 'b'.repeat(16) },
    startTime: [1_700_000_000, 0],
    duration: [0, 1e6],
    status: { code: failed ? 2 : 0 },
    attributes,
    events: [],
    links: [],
    resource: { attributes: resource },
    instrumentationScope: { name: 'test' },
  };
}

/** A sampler that keeps nothing without a reason, with what it decided. */
function sampler(config: TailSamplingConfig = {}, monotonicMs = () => 0) {
  const { tail } = resolveSampling({
    tail: { rareBelowPerHour: 0, slowerThan: { durationMs: 1e9 }, probability: 0, ...config },
  });
  if (tail === undefined) throw new Error('no tail');
  const kept: { name: string; reason: string; count: number }[] = [];
  const dropped: string[] = [];
  const made = new TailSampler(tail, monotonicMs, {
    keep: ({ span }, { reason, count }) => kept.push({ name: span.name, reason, count }),
    drop: (reason) => dropped.push(reason),
  });
  const add = (sketch: Sketch, durationMs = 1, nowMs = 0): void =>
    made.add({ span: spanOf(sketch), resource, endMs: 0, durationMs }, nowMs);
  return { made, add, kept, dropped };
}

describe('rules', () => {
  const rules = [
    { name: 'GET /health*', action: 'drop' },
    { attributes: { 'user.id': '4?' }, action: 'keep' },
    { name: 'query', minDurationMs: 50, action: 'keep' },
  ] as const;

  it('drop by the local root before anything keeps', () => {
    const { add, kept, dropped } = sampler({ rules });
    add({ traceId: 'a', attributes: { 'user.id': 42 }, failed: true });
    add({ traceId: 'a', name: 'GET /health/live', root: true });
    expect([kept, dropped]).toEqual([[], ['rule', 'rule']]);
    // Late spans go the same way, under the same name.
    add({ traceId: 'a' });
    expect(dropped).toEqual(['rule', 'rule', 'rule']);
  });

  it('keep by any span', () => {
    const { add, kept, dropped } = sampler({ rules });
    add({ traceId: 'a', name: 'query' }, 49);
    add({ traceId: 'a', name: 'first', root: true });
    add({ traceId: 'b', name: 'query' }, 50);
    add({ traceId: 'b', name: 'second', root: true });
    add({ traceId: 'c', name: 'third', root: true, attributes: { 'user.id': 41 } });
    expect(kept.map(({ name, reason }) => [name, reason])).toEqual([
      ['query', 'rule'],
      ['second', 'rule'],
      ['third', 'rule'],
    ]);
    expect(dropped).toEqual(['probability', 'probability']);
  });
});

describe('long traces', () => {
  it('are handed on from 1,000 spans when they are kept in any case', () => {
    const { made, add, kept } = sampler();
    for (let i = 0; i < 999; i += 1) add({ traceId: 'a', failed: i === 5 });
    expect([kept.length, made.waitingSpans]).toEqual([0, 999]);
    add({ traceId: 'a' });
    expect([kept.length, made.waitingSpans, made.waitingBytes]).toEqual([1_000, 0, 0]);
    add({ traceId: 'a' });
    add({ traceId: 'a', root: true });
    expect(kept).toHaveLength(1_002);
  });

  it('lose what is over the limit, never the root', () => {
    const { add, kept, dropped } = sampler({ maxSpansPerTrace: 3 });
    for (let i = 0; i < 5; i += 1) add({ traceId: 'a', failed: i === 4 });
    add({ traceId: 'a', name: 'root', root: true });
    expect(kept.map(({ name }) => name)).toEqual(['work', 'work', 'work', 'root']);
    expect(kept[0]?.reason).toBe('error');
    expect(dropped).toEqual(['trace-too-large', 'trace-too-large']);
  });

  it('wait within the bytes of all', () => {
    const { made, add, dropped } = sampler({ maxBytes: 20_000 });
    for (let i = 0; i < 100; i += 1) {
      made.begun(`${i}`, 0);
      add({ traceId: `${i}` });
      expect(made.waitingBytes).toBeLessThanOrEqual(20_000);
    }
    expect(made.decidedEarly).toBe(dropped.length);
    for (let i = 100; i < 1_000; i += 1) made.begun(`${i}`, 0);
    expect(made.waitingBytes).toBeLessThanOrEqual(20_000);
    made.finish(0);
    expect([made.waitingSpans, made.waitingBytes, dropped.length]).toEqual([0, 0, 100]);
  });
});

describe('what kept traces stand for', () => {
  it('is the inverse of the probability, of this sampler or of the one before, whichever kept fewer', () => {
    const { add, kept } = sampler({ probability: 0.25, maxTracesPerSecond: 1e6, mode: 'propagate' });
    const high = 'f'.repeat(32);
    add({ traceId: high, root: true });
    add({ traceId: `e${high.slice(1)}`, root: true, state: 'ot=th:8' });
    add({ traceId: `d${high.slice(1)}`, root: true, state: 'x=y,ot=th:fc' });
    add({ traceId: `c${high.slice(1)}`, root: true, failed: true, state: 'ot=th:8' });
    expect(kept.map(({ count, reason }) => [count, reason])).toEqual([
      [4, 'probability'],
      [4, 'probability'],
      [64, 'probability'],
      [2, 'error'],
    ]);
  });

  it('covers what was over the rate', () => {
    let nowMs = 0;
    const { add, kept, dropped } = sampler({ probability: 1, maxTracesPerSecond: 10 }, () => nowMs);
    for (let i = 0; i < 5_000; i += 1) {
      nowMs += 1;
      add({ traceId: ids.generateTraceId(), root: true });
    }
    expect(kept.length).toBeGreaterThanOrEqual(58);
    expect(kept.length).toBeLessThanOrEqual(61);
    expect(new Set(dropped)).toEqual(new Set(['rate']));
    const sum = kept.reduce((total, { count }) => total + count, 0);
    expect(sum).toBeGreaterThan(4_890);
    expect(sum).toBeLessThanOrEqual(5_000);
  });
});

describe('the history of operations', () => {
  it('calls rare what ran fewer times in the last hour', () => {
    const history = new OperationHistory(undefined, 3);
    const rare = (minutes: number): boolean => history.judge('job', 1, minutes * 60_000).rare;
    expect([0, 10, 20, 30, 61].map(rare)).toEqual([true, true, true, false, false]);
    expect([100, 101, 120, 122, 400].map(rare)).toEqual([true, true, false, false, true]);
  });

  it('bounds the operations it tells apart, and calls none beyond them rare', () => {
    const history = new OperationHistory(0.99, 10);
    for (let i = 0; i < 1_000; i += 1) expect(history.judge(`${i}`, 1, 0).rare).toBe(true);
    expect(history.judge('one more', 1, 0).rare).toBe(false);
    expect(history.judge('an hour later', 1, 3_600_001).rare).toBe(true);
  });
});

it('matches globs in bounded time', () => {
  expect(globTest('GET /*/items?')('GET /a/b/items1')).toBe(true);
  expect(globTest('GET /*/items?')('GET /a/items')).toBe(false);
  expect(globTest('*')('')).toBe(true);
  expect(globTest('a.c')('abc')).toBe(false);
  expect(globTest(`${'*a'.repeat(50)}b`)('a'.repeat(20_000))).toBe(false);
});
