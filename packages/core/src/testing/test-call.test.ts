import { describe, expect, it } from 'vitest';
import { fakeClock } from './fake-clock.js';
import { eventually, testCall } from './test-call.js';

describe('testCall', () => {
  it('has no deadline by default and counts down a given one', async () => {
    expect(testCall().remainingMs()).toBe(Number.POSITIVE_INFINITY);
    const clock = fakeClock();
    const call = testCall({ timeoutMs: 100, clock });
    await clock.advance(40);
    expect(call.remainingMs()).toBe(60);
    await clock.advance(100);
    expect(call.remainingMs()).toBe(0);
  });

  it('aborts by itself and with the signal it was given', () => {
    const own = testCall();
    own.abort('stop');
    expect(own.signal.reason).toBe('stop');
    const outer = new AbortController();
    const joined = testCall({ signal: outer.signal });
    outer.abort('outer');
    expect(joined.signal.reason).toBe('outer');
    expect(testCall({ signal: outer.signal }).signal.aborted).toBe(true);
  });

  it('resolves the secrets it was given, and no inherited names', async () => {
    const call = testCall({ secrets: { 'secret://db#password': 'x' } });
    await expect(call.secret('secret://db#password')).resolves.toBe('x');
    await expect(call.secret('toString')).rejects.toMatchObject({ code: 'MNOPS_CORE_NOT_FOUND' });
  });
});

describe('eventually', () => {
  it('waits until the check holds', async () => {
    let looks = 0;
    await eventually(() => {
      looks += 1;
      return looks > 2;
    });
    expect(looks).toBe(3);
  });

  it('throws the last error of the check when time is up', async () => {
    const never = eventually(() => expect(1).toBe(2), { timeoutMs: 10 });
    await expect(never).rejects.toThrow(/expected 1 to be 2/);
    await expect(eventually(() => false, { timeoutMs: 5 })).rejects.toMatchObject({ code: 'MNOPS_CORE_TIMEOUT' });
  });
});
