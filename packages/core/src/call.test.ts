import { getEventListeners } from 'node:events';
import { describe, expect, it } from 'vitest';
import { callOf, credential, timeoutError, withCall } from './call.js';
import type { SecretResolver } from './spi/secret-resolver.js';
import { fakeClock } from './testing/fake-clock.js';

const resolver: SecretResolver = {
  specVersion: 1,
  kind: 'secret-resolver',
  id: 'test',
  resolve: async (reference) => ({ reveal: () => `value of ${reference}`, version: '1' }),
};

describe('callOf', () => {
  it('aborts with MNOPS_CORE_TIMEOUT when the time is over, and tells what is left', async () => {
    const clock = fakeClock();
    const call = callOf({ timeoutMs: 100, clock });
    await clock.advance(60);
    expect([call.remainingMs(), call.signal.aborted]).toEqual([40, false]);
    await clock.advance(50);
    expect(call.remainingMs()).toBe(0);
    expect(call.signal.reason).toMatchObject({
      code: 'MNOPS_CORE_TIMEOUT',
      retryable: true,
      details: { timeoutMs: 100 },
    });
    call.end();
  });

  it('has no deadline unless told, and sets no timer for an infinite one', () => {
    const clock = fakeClock();
    expect(callOf({ clock }).remainingMs()).toBe(Number.POSITIVE_INFINITY);
    expect(callOf({ clock, timeoutMs: Number.POSITIVE_INFINITY }).remainingMs()).toBe(Number.POSITIVE_INFINITY);
    expect(clock.pending).toBe(0);
  });

  it("passes on the reason of the caller's signal, and lets go of it at the end", () => {
    const controller = new AbortController();
    const clock = fakeClock();
    const [first, second] = [
      callOf({ signal: controller.signal, timeoutMs: 5, clock }),
      callOf({ signal: controller.signal }),
    ];
    first.end();
    expect([clock.pending, getEventListeners(controller.signal, 'abort').length]).toEqual([0, 1]);
    controller.abort('because');
    expect([first.signal.aborted, second.signal.reason]).toEqual([false, 'because']);
    expect(callOf({ signal: controller.signal }).signal.reason).toBe('because');
  });

  it('resolves references through the given resolver, and says what to do without one', async () => {
    expect(await callOf({ secrets: resolver }).secret('secret://a#b')).toBe('value of secret://a#b');
    await expect(callOf().secret('secret://db/main#password')).rejects.toMatchObject({
      code: 'MNOPS_CORE_CONFIG_INVALID',
      message: 'A reference secret://db/main was given, but no resolver.',
      remedy: expect.stringContaining('secrets:'),
    });
  });
});

describe('withCall', () => {
  it('rejects at once when aborted, even if the work does not listen', async () => {
    const controller = new AbortController();
    const stuck = withCall({ signal: controller.signal }, () => new Promise<never>(() => undefined));
    controller.abort(new Error('stop'));
    await expect(stuck).rejects.toThrow('stop');
    let ran = false;
    const late = withCall({ signal: controller.signal }, async () => {
      ran = true;
    });
    await expect(late).rejects.toThrow('stop');
    expect([ran, getEventListeners(controller.signal, 'abort').length]).toEqual([false, 0]);
  });

  it('returns the result and stops its timer, also after a failure', async () => {
    const clock = fakeClock();
    expect(await withCall({ timeoutMs: 5, clock }, async () => 1)).toBe(1);
    await expect(withCall({ timeoutMs: 5, clock }, () => Promise.reject(new Error('x')))).rejects.toThrow('x');
    expect(clock.pending).toBe(0);
  });
});

describe('credential', () => {
  it('is the text, what the function gives, or what the reference stands for', async () => {
    const call = callOf({ secrets: resolver });
    expect(await credential('plain', call)).toBe('plain');
    expect(await credential(async () => 'made', call)).toBe('made');
    expect(await credential('secret://a', call)).toBe('value of secret://a');
    expect(await credential(() => 'secret://a', call)).toBe('value of secret://a');
  });
});

describe('credential that is no text', () => {
  const odd = (value: unknown) => value as string;
  it.each([
    [() => odd(undefined), 'nothing'],
    [async () => odd(null), 'null'],
    [() => odd(4711), 'number'],
    [() => odd(Buffer.from('swordfish')), 'object'],
    [odd(undefined), 'nothing'],
    [odd({ password: 'swordfish' }), 'object'],
  ])('%s is refused by its kind', async (value, received) => {
    const error: Error = await credential(value, callOf()).then(
      () => new Error('taken'),
      (failure) => failure,
    );
    expect(error).toMatchObject({
      code: 'MNOPS_CORE_CONFIG_INVALID',
      details: { issues: [{ field: 'credential', received, remedy: expect.stringContaining('text') }] },
    });
    expect(JSON.stringify(error) + error.message).not.toMatch(/swordfish|4711/);
  });

  it('passes on what the function throws', async () => {
    const own = new Error('the agent is away');
    await expect(credential(() => Promise.reject(own), callOf())).rejects.toBe(own);
  });
});

it('timeoutError tells the time that passed', () => {
  expect(timeoutError(20)).toMatchObject({ code: 'MNOPS_CORE_TIMEOUT', message: 'No answer within 20 ms.' });
});
