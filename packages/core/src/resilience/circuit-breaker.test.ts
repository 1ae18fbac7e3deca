import { describe, expect, it } from 'vitest';
import { coreError } from '../errors/core-error.js';
import { fakeClock } from '../testing/fake-clock.js';
import { type CircuitBreaker, circuitBreaker } from './circuit-breaker.js';

const down = () => Promise.reject(coreError('MNOPS_CORE_UNAVAILABLE', 'down'));
const absent = () => Promise.reject(coreError('MNOPS_CORE_NOT_FOUND', 'absent'));
const aborted = () => Promise.reject(new DOMException('stop', 'AbortError'));
const fine = () => Promise.resolve('fine');

async function failTimes(breaker: CircuitBreaker, times: number): Promise<void> {
  for (let call = 0; call < times; call += 1) await breaker.run(down).catch(() => undefined);
}

function subject() {
  const clock = fakeClock();
  const changes: string[] = [];
  const onChange = (state: string, before: string) => void changes.push(`${before}>${state}`);
  return { clock, changes, breaker: circuitBreaker({ failures: 3, openMs: 1_000, clock, onChange }) };
}

describe('circuitBreaker', () => {
  it('opens after failures in a row and refuses with the time to wait', async () => {
    const { breaker, clock, changes } = subject();
    await failTimes(breaker, 2);
    expect(await breaker.run(fine)).toBe('fine');
    await failTimes(breaker, 3);
    expect(breaker.state).toBe('open');
    await clock.advance(400);
    let ran = false;
    const refused = breaker.run(async () => {
      ran = true;
    });
    await expect(refused).rejects.toMatchObject({ code: 'MNOPS_CORE_UNAVAILABLE', retryAfterMs: 600, retryable: true });
    expect(ran).toBe(false);
    expect(changes).toEqual(['closed>open']);
  });

  it('lets one call through after the time and closes when it succeeds', async () => {
    const { breaker, clock, changes } = subject();
    await failTimes(breaker, 3);
    await clock.advance(1_000);
    expect(breaker.state).toBe('half-open');
    let answer: (value: string) => void = () => undefined;
    const probe = breaker.run(() => new Promise<string>((resolve) => (answer = resolve)));
    await expect(breaker.run(fine)).rejects.toMatchObject({ code: 'MNOPS_CORE_UNAVAILABLE' });
    answer('back');
    expect(await probe).toBe('back');
    expect(breaker.state).toBe('closed');
    expect(changes).toEqual(['closed>open', 'open>half-open', 'half-open>closed']);
    await failTimes(breaker, 2);
    expect(breaker.state).toBe('closed');
  });

  it('opens again when the probe fails, for the full time', async () => {
    const { breaker, clock } = subject();
    await failTimes(breaker, 3);
    await clock.advance(1_000);
    await failTimes(breaker, 1);
    expect(breaker.state).toBe('open');
    await clock.advance(999);
    expect(breaker.state).toBe('open');
    await clock.advance(1);
    expect(breaker.state).toBe('half-open');
  });

  it('takes an answer such as "absent" for a sign of life', async () => {
    const { breaker, clock } = subject();
    await failTimes(breaker, 2);
    await breaker.run(absent).catch(() => undefined);
    await failTimes(breaker, 2);
    expect(breaker.state).toBe('closed');
    await failTimes(breaker, 1);
    await clock.advance(1_000);
    await breaker.run(absent).catch(() => undefined);
    expect(breaker.state).toBe('closed');
  });

  it('learns nothing from an abort, not even from that of the probe', async () => {
    const { breaker, clock } = subject();
    await failTimes(breaker, 2);
    await breaker.run(aborted).catch(() => undefined);
    await breaker.run(() => Promise.reject(coreError('MNOPS_CORE_ABORTED', 'stop'))).catch(() => undefined);
    await failTimes(breaker, 1);
    expect(breaker.state).toBe('open');
    await clock.advance(1_000);
    await breaker.run(aborted).catch(() => undefined);
    expect(breaker.state).toBe('half-open');
    expect(await breaker.run(fine)).toBe('fine');
    expect(breaker.state).toBe('closed');
  });

  it('ignores what calls from before it opened say afterwards', async () => {
    const { breaker } = subject();
    let answer: (value: string) => void = () => undefined;
    const early = breaker.run(() => new Promise<string>((resolve) => (answer = resolve)));
    await failTimes(breaker, 3);
    answer('late');
    await early;
    expect(breaker.state).toBe('open');
  });

  it('refuses to open after no failure, and unknown options', () => {
    const refused = expect.objectContaining({ code: 'MNOPS_CORE_CONFIG_INVALID' });
    expect(() => circuitBreaker({ failures: 0, openMs: 1 })).toThrow(refused);
    expect(() => circuitBreaker({ failures: 1, openMs: 1, halfOpen: 2 } as never)).toThrow(refused);
  });

  it('counts time by the system clock by default', () => {
    expect(circuitBreaker({ failures: 1, openMs: 1 }).state).toBe('closed');
  });
});
