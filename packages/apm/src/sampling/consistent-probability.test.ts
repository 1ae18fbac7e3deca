import { ROOT_CONTEXT } from '@opentelemetry/api';
import { ParentBasedSampler, TraceIdRatioBasedSampler } from '@opentelemetry/sdk-trace-base';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { randomOf } from '../testing/random.js';
import { randomIds } from '../tracing/random-ids.js';
import { countOfState } from './adjusted-count.js';
import { BackEndRates } from './back-end-rates.js';
import {
  passes,
  probabilityOf,
  randomnessAbove,
  randomnessOf,
  readOtelMember,
  thresholdOf,
  writeOtelMember,
} from './consistent-probability.js';
import { type HeadDecider, headDecider } from './head-sampler.js';
import type { HeadSampler } from './sampling-config.js';

const probability = fc.double({ min: 2 ** -50, max: 1, noNaN: true });
const hex = (length: number) => fc.stringMatching(new RegExp(`^[0-9a-f]{${length}}$`));

function deciderOf(sampler: HeadSampler, random = randomOf(7)): HeadDecider {
  const rates = new BackEndRates('shop', undefined);
  return headDecider(sampler, { service: 'shop', rates, random, monotonicMs: () => 0, limiters: [] });
}

function ask(decide: HeadDecider, traceId: string, member?: string, callerSampled?: boolean) {
  return decide({ traceId, name: 'GET /', kind: 'server', attributes: {}, callerSampled, member });
}

describe('thresholds', () => {
  it.each([
    // From OpenTelemetry's specification, "tracestate-probability-sampling".
    [1, 'th:0'],
    [0.5, 'th:8'],
    [0.25, 'th:c'],
    [0.125, 'th:e'],
    [1 / 16, 'th:f'],
    [2 ** -56, 'th:ffffffffffffff'],
  ])('writes %s as %s', (share, member) => {
    expect(writeOtelMember({ threshold: thresholdOf(share), randomness: undefined, others: [] })).toBe(member);
  });

  it('come back as the probability, and never with a trailing zero', () => {
    fc.assert(
      fc.property(probability, (share) => {
        const text = writeOtelMember({ threshold: thresholdOf(share), randomness: undefined, others: [] });
        expect(text).toMatch(/^th:(0|[0-9a-f]{0,13}[1-9a-f])$/);
        const { threshold } = readOtelMember(text);
        expect(threshold).toBe(thresholdOf(share));
        expect(Math.abs(probabilityOf(threshold ?? '') - share)).toBeLessThanOrEqual(2 ** -56);
        expect(countOfState(`x=1, ot=${text}`)).toBeCloseTo(Math.min(1e9, 1 / probabilityOf(thresholdOf(share))), 6);
      }),
    );
  });

  it('compare as the numbers they stand for', () => {
    fc.assert(
      fc.property(hex(14), hex(14), (randomness, threshold) => {
        expect(passes(randomness, threshold)).toBe(BigInt(`0x${randomness}`) >= BigInt(`0x${threshold}`));
      }),
    );
  });

  it('are passed by a randomness that is made for them', () => {
    fc.assert(
      fc.property(probability, fc.double({ min: 0, max: 1 - 2 ** -53, noNaN: true }), (share, chance) => {
        const made = randomnessAbove(thresholdOf(share), () => chance);
        expect(made).toMatch(/^[0-9a-f]{14}$/);
        expect(passes(made, thresholdOf(share))).toBe(true);
      }),
    );
  });
});

describe('the member ot', () => {
  it('keeps unknown sub-keys in order and stays within 256 characters', () => {
    const key = fc.stringMatching(/^[a-z]{1,3}:[a-zA-Z0-9._-]{1,40}$/).filter((text) => !/^(th|rv):/.test(text));
    fc.assert(
      fc.property(fc.array(key, { maxLength: 5 }), hex(14), probability, (others, randomness, share) => {
        const before = [...others, `rv:${randomness}`].join(';');
        const written = writeOtelMember({ ...readOtelMember(before), threshold: thresholdOf(share) });
        expect(written.length).toBeLessThanOrEqual(256);
        const back = readOtelMember(written);
        expect(back.randomness).toBe(before.length > 256 ? undefined : randomness);
        if (written.length < 200) expect(back.others).toEqual(others);
      }),
    );
  });

  it.each(['th:', 'th:g', 'th:012345678901234', 'th:-1', 'rv:0', 'rv:0123456789abcde', 'th', ';;', 'x'.repeat(300)])(
    'leaves out what is not well-formed: %s',
    (text) => {
      expect(readOtelMember(text)).toMatchObject({ threshold: undefined, randomness: undefined });
    },
  );
});

describe('head samplers', () => {
  const { generateTraceId } = randomIds(randomOf(1));

  it.each([0.5, 0.1, 0.01])('keep a share of %s, evenly over 16 parts of the traces (chi-square)', (share) => {
    const decide = deciderOf({ kind: 'probability', probability: share });
    const perPart = 4_000;
    let chiSquare = 0;
    for (let part = 0; part < 16; part += 1) {
      let kept = 0;
      for (let i = 0; i < perPart; i += 1) if (ask(decide, generateTraceId()).sampled) kept += 1;
      chiSquare += (kept - perPart * share) ** 2 / (perPart * share * (1 - share));
    }
    // 16 degrees of freedom: 1 in 100,000 is above 51.
    expect(chiSquare).toBeLessThan(51);
  });

  it('keep in a service with a small probability only what one with a larger one keeps', () => {
    const [small, large] = [0.02, 0.3].map((share) => deciderOf({ kind: 'probability', probability: share }));
    for (let i = 0; i < 20_000; i += 1) {
      const id = generateTraceId();
      if (small !== undefined && ask(small, id).sampled)
        expect(large !== undefined && ask(large, id).sampled).toBe(true);
    }
  });

  it('heed a randomness that the caller names', () => {
    const decide = deciderOf({ kind: 'probability', probability: 0.25 });
    expect(ask(decide, '0'.repeat(31).padEnd(32, '1'), 'rv:c0000000000000;a:b')).toEqual({
      sampled: true,
      member: 'th:c;rv:c0000000000000;a:b',
    });
    expect(ask(decide, 'f'.repeat(32), 'rv:bfffffffffffff;th:8')).toEqual({
      sampled: false,
      member: 'rv:bfffffffffffff',
    });
  });

  it('agree with OpenTelemetry on ratios, and let samplers behind them keep what they kept', () => {
    for (const ratio of [0, 0.3, 0.7, 1]) {
      const decide = deciderOf({ kind: 'ratio', ratio });
      const theirs = new TraceIdRatioBasedSampler(ratio);
      for (let i = 0; i < 3_000; i += 1) {
        const id = generateTraceId();
        const { sampled, member } = ask(decide, id);
        // Their ratio of 1 misses one trace in four thousand million.
        expect(sampled).toBe(theirs.shouldSample(ROOT_CONTEXT, id).decision === 2);
        if (!sampled || ratio === 1) continue;
        const said = readOtelMember(member);
        expect(said.threshold).toBe(thresholdOf(ratio));
        expect(passes(randomnessOf(id, said), thresholdOf(ratio))).toBe(true);
      }
    }
  });

  it('stand for all traces together, whatever decided', () => {
    const samplers: HeadSampler[] = [
      { kind: 'ratio', ratio: 0.2 },
      { kind: 'probability', probability: 0.2 },
    ];
    for (const sampler of samplers) {
      const decide = deciderOf(sampler);
      let estimate = 0;
      for (let i = 0; i < 30_000; i += 1) {
        const { sampled, member } = ask(decide, generateTraceId());
        if (sampled) estimate += countOfState(`ot=${member}`);
      }
      expect(Math.abs(estimate / 30_000 - 1)).toBeLessThan(0.06);
    }
  });

  it('follow the caller only when told to', () => {
    const off = deciderOf({ kind: 'parent-based', root: { kind: 'always-off' } });
    expect(ask(off, 'a', 'th:8', true)).toEqual({ sampled: true, member: undefined });
    expect(ask(off, 'a', undefined, undefined).sampled).toBe(false);
    const on = deciderOf({ kind: 'parent-based', root: { kind: 'always-on' } });
    expect(ask(on, 'a', 'th:8;x:y', false)).toEqual({ sampled: false, member: 'x:y' });
    expect(ask(deciderOf({ kind: 'always-on' }), 'a', 'th:8', false)).toEqual({ sampled: true, member: '' });
    expect(
      new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(0) }).shouldSample(ROOT_CONTEXT, 'a', 'n', 0, {}, [])
        .decision,
    ).toBe(0);
  });

  it('limit a rate, and each that is kept stands for those that were not', () => {
    let nowMs = 0;
    const limiters: Parameters<typeof headDecider>[1]['limiters'] = [];
    const decide = headDecider(
      { kind: 'rate-limit', tracesPerSecond: 10 },
      {
        service: 'shop',
        rates: new BackEndRates('shop', undefined),
        random: randomOf(3),
        monotonicMs: () => nowMs,
        limiters,
      },
    );
    let [kept, estimate] = [0, 0];
    for (let i = 0; i < 10_000; i += 1) {
      nowMs += 2;
      const { sampled, member } = ask(decide, generateTraceId());
      if (!sampled) continue;
      kept += 1;
      estimate += countOfState(member === undefined ? undefined : `ot=${member}`);
    }
    expect(kept).toBeGreaterThanOrEqual(200);
    expect(kept).toBeLessThanOrEqual(211);
    expect(limiters[0]?.effectiveRate).toBeCloseTo(kept / 10_000, 6);
    expect(Math.abs(estimate / 10_000 - 1)).toBeLessThan(0.01);
  });

  it('take the first rule that matches', () => {
    const decide = deciderOf({
      kind: 'rules',
      rules: [
        { name: 'GET /health*', sampler: { kind: 'always-off' } },
        { service: 'sh?p', kind: 'server', attributes: { 'user.tier': 'gold*' }, sampler: { kind: 'always-on' } },
        { service: 'other', sampler: { kind: 'always-on' } },
      ],
      otherwise: { kind: 'always-off' },
    });
    const question = { traceId: 'a', callerSampled: undefined, member: undefined, kind: 'server' as const };
    const gold = { 'user.tier': 'golden' };
    expect(decide({ ...question, name: 'GET /health/live', attributes: gold }).sampled).toBe(false);
    expect(decide({ ...question, name: 'GET /items', attributes: gold }).sampled).toBe(true);
    expect(decide({ ...question, name: 'GET /items', kind: 'client', attributes: gold }).sampled).toBe(false);
    expect(decide({ ...question, name: 'GET /items', attributes: {} }).sampled).toBe(false);
  });

  it('follow the rates of a back end once it names some', () => {
    const rates = new BackEndRates('shop', 'prod');
    const decide = headDecider(
      { kind: 'back-end-rates', otherwise: { kind: 'always-on' } },
      { service: 'shop', rates, random: Math.random, monotonicMs: () => 0, limiters: [] },
    );
    const share = (): number => {
      let kept = 0;
      for (let i = 0; i < 4_000; i += 1) if (ask(decide, generateTraceId()).sampled) kept += 1;
      return kept / 4_000;
    };
    expect(share()).toBe(1);
    rates.update(new Map([['service:shop,env:dev', 0]]));
    expect(share()).toBe(1);
    rates.update(new Map([['service:,env:', 0.5]]));
    expect(Math.abs(share() - 0.5)).toBeLessThan(0.05);
    rates.update(
      new Map([
        ['service:shop,env:prod', 0],
        ['service:,env:', 1],
      ]),
    );
    expect(share()).toBe(0);
    rates.update(new Map([['service:shop,env:prod', Number.NaN]]));
    expect(share()).toBe(0);
  });
});
