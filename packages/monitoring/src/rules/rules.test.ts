import { fakeClock } from '@mnops/core/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { AlertRule } from './alert-rule.js';
import { AlertState } from './alert-state.js';
import { parseDuration } from './duration.js';
import { compileTemplate } from './template.js';

describe('parseDuration', () => {
  it.each([
    ['30s', 30_000],
    ['1h30m', 5_400_000],
    ['250ms', 250],
    ['1m250ms', 60_250],
    ['1y2w3d', 31_536_000_000 + 2 * 604_800_000 + 3 * 86_400_000],
    ['0', 0],
    ['0s', 0],
  ])('%s is %d ms', (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });

  it.each(['', '30', 's', '1.5s', '30s1h', '1h1h', '-1s', ' 1s', '1S'])('refuses %j', (text) => {
    expect(parseDuration(text)).toBeUndefined();
  });

  it('never throws', () => {
    fc.assert(fc.property(fc.string(), (text) => ['number', 'undefined'].includes(typeof parseDuration(text))));
  });
});

describe('compileTemplate', () => {
  const render = (text: string, value: number, labels: Record<string, string> = {}): string => {
    const compiled = compileTemplate(text);
    if ('problem' in compiled) throw new Error(compiled.problem);
    return compiled.render({ value, labels });
  };

  it.each([
    ['{{ $value }}', 0.123456, '0.1235'],
    ['{{$value|humanizePercentage}} of requests', 0.0712, '7.12% of requests'],
    ['{{ $value | humanize }}B', 1_234_567, '1.235MB'],
    ['{{ $value | humanize }}', 0.0012, '1.2m'],
    ['{{ $value | humanizeDuration }}', 0.25, '250ms'],
    ['{{ $value | humanizeDuration }}', 3_725, '1h 2m 5s'],
    ['{{ $labels.service }} of {{ $labels.absent }}!', 1, 'shop of !'],
    ['plain', 1, 'plain'],
  ])('%s with %d is %s', (text, value, expected) => {
    expect(render(text, value, { service: 'shop' })).toBe(expected);
  });

  it.each([
    '{{ $value',
    '{{ $other }}',
    '{{ $value | shout }}',
    '{{ $value | humanize | humanize }}',
    '{{ $value | constructor }}',
  ])('names what is wrong with %s', (text) => {
    expect(compileTemplate(text)).toHaveProperty('problem');
  });
});

describe('AlertState', () => {
  const rule: AlertRule = {
    alert: 'Errors',
    query: { metric: 'x', reduce: 'last', windowMs: 1_000 },
    above: 0.05,
    for: '30s',
    labels: { severity: 'critical' },
    annotations: { summary: '{{ $labels.service }} fails {{ $value | humanizePercentage }}' },
  };
  const sample = (value: number, service = 'catalog') => ({ labels: { service }, value, atMs: 0 });

  it('goes from pending to firing after `for`, and resolves', async () => {
    const clock = fakeClock();
    const state = new AlertState(rule, 'group', clock);
    expect(state.update([sample(0.2)])).toMatchObject({ pending: [{ state: 'pending' }], fired: [], resolved: [] });
    await clock.advance(29_999);
    expect(state.update([sample(0.3)])).toEqual({ pending: [], fired: [], resolved: [] });
    await clock.advance(1);
    const [fired] = state.update([sample(0.1)]).fired;
    expect(fired).toMatchObject({
      alert: 'Errors',
      state: 'firing',
      labels: { service: 'catalog', severity: 'critical', alertname: 'Errors' },
      annotations: { summary: 'catalog fails 10%' },
    });
    expect(state.active()).toHaveLength(1);
    await clock.advance(1_000);
    const [resolved] = state.update([sample(0.01)]).resolved;
    expect(resolved).toMatchObject({ state: 'resolved', key: fired?.key });
    expect(state.active()).toEqual([]);
  });

  it('forgets a pending alert whose condition ends, and starts its time again', async () => {
    const clock = fakeClock();
    const state = new AlertState(rule, 'group', clock);
    state.update([sample(0.2)]);
    await clock.advance(20_000);
    expect(state.update([sample(0)])).toEqual({ pending: [], fired: [], resolved: [] });
    state.update([sample(0.2)]);
    await clock.advance(20_000);
    expect(state.update([sample(0.2)]).fired).toEqual([]);
  });

  it('keeps one alert per group of labels', () => {
    const state = new AlertState({ ...rule, for: '0s' }, 'group', fakeClock());
    expect(
      state
        .update([sample(0.2, 'a'), sample(0.01, 'b'), sample(0.9, 'c')])
        .fired.map(({ labels }) => labels['service']),
    ).toEqual(['a', 'c']);
    expect(state.update([sample(0.2, 'a')]).resolved.map(({ labels }) => labels['service'])).toEqual(['c']);
  });

  it('resolves when the data is gone, after `keepFiringFor`', async () => {
    const clock = fakeClock();
    const state = new AlertState({ ...rule, for: '0s', keepFiringFor: '10s' }, 'group', clock);
    state.update([sample(0.2)]);
    await clock.advance(9_999);
    expect(state.update([]).resolved).toEqual([]);
    await clock.advance(1);
    expect(state.update([]).resolved).toHaveLength(1);
  });

  it('fires below a threshold, and outside of a band', () => {
    const low = new AlertState({ ...rule, for: '0s', above: undefined, below: 1 }, 'group', fakeClock());
    expect(low.update([sample(0.5), sample(1, 'b')]).fired).toHaveLength(1);
    const band = new AlertState({ ...rule, for: '0s', above: 10, below: 1 }, 'group', fakeClock());
    expect(band.update([sample(0), sample(5, 'b'), sample(11, 'c')]).fired).toHaveLength(2);
  });

  it('takes NaN as a value that meets nothing', () => {
    const state = new AlertState({ ...rule, for: '0s' }, 'group', fakeClock());
    expect(state.update([sample(Number.NaN)]).fired).toEqual([]);
  });

  it('is not moved by a jump of the wall clock', async () => {
    const clock = fakeClock();
    const state = new AlertState(rule, 'group', clock);
    state.update([sample(0.2)]);
    clock.jumpWallClock(3_600_000);
    expect(state.update([sample(0.2)]).fired).toEqual([]);
    await clock.advance(30_000);
    expect(state.update([sample(0.2)]).fired).toHaveLength(1);
  });
});
