import { describe, expect, it } from 'vitest';
import { fakeClock } from '../testing/fake-clock.js';
import { type SharedCall, singleFlight } from './single-flight.js';

/** Work that a test answers by hand. */
function manual() {
  const calls: { call: SharedCall; resolve(value: string): void; reject(error: unknown): void }[] = [];
  const load = (call: SharedCall) =>
    new Promise<string>((resolve, reject) => {
      calls.push({ call, resolve, reject });
    });
  return { calls, load };
}
const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('singleFlight', () => {
  it('runs once for everybody who asks meanwhile, and again afterwards', async () => {
    const group = singleFlight<string, string>();
    const { calls, load } = manual();
    const all = [group.run('k', load), group.run('k', load), group.run('other', load)];
    await turn();
    expect(calls).toHaveLength(2);
    expect(group.size).toBe(2);
    calls[0]?.resolve('one');
    calls[1]?.resolve('two');
    expect(await Promise.all(all)).toEqual(['one', 'one', 'two']);
    expect(group.size).toBe(0);
    void group.run('k', load);
    await turn();
    expect(calls).toHaveLength(3);
  });

  it('gives a failure to every waiter and keeps nothing', async () => {
    const group = singleFlight<string, string>();
    const failing = () => {
      throw new Error('broken');
    };
    const results = await Promise.allSettled([group.run('k', failing), group.run('k', failing)]);
    expect(results.map((result) => result.status)).toEqual(['rejected', 'rejected']);
    expect(group.size).toBe(0);
    expect(await group.run('k', async () => 'well')).toBe('well');
  });

  it('lets one waiter go without touching the others', async () => {
    const group = singleFlight<string, string>();
    const { calls, load } = manual();
    const controller = new AbortController();
    const first = group.run('k', load, { signal: controller.signal });
    const second = group.run('k', load);
    await turn();
    controller.abort('mine');
    await expect(first).rejects.toBe('mine');
    expect(calls[0]?.call.signal.aborted).toBe(false);
    calls[0]?.resolve('yours');
    expect(await second).toBe('yours');
  });

  it('aborts the work when the last waiter has gone, and starts anew for the next', async () => {
    const group = singleFlight<string, string>();
    const { calls, load } = manual();
    const controller = new AbortController();
    const both = [1, 2].map(() => group.run('k', load, { signal: controller.signal }));
    await turn();
    controller.abort('all gone');
    for (const result of await Promise.allSettled(both)) expect(result).toMatchObject({ reason: 'all gone' });
    expect(calls[0]?.call.signal.reason).toBe('all gone');
    const next = group.run('k', load);
    calls[0]?.reject(new Error('aborted work'));
    await turn();
    expect(calls).toHaveLength(2);
    calls[1]?.resolve('fresh');
    expect(await next).toBe('fresh');
  });

  it('holds each waiter to its own deadline', async () => {
    const clock = fakeClock();
    const group = singleFlight<string, string>({ clock });
    const { calls, load } = manual();
    const short = group.run('k', load, { timeoutMs: 50 });
    const long = group.run('k', load, { timeoutMs: 200 });
    await turn();
    expect(calls[0]?.call.remainingMs()).toBe(200);
    const failed = expect(short).rejects.toMatchObject({ code: 'MNOPS_CORE_TIMEOUT' });
    await clock.advance(60);
    await failed;
    expect(calls[0]?.call.remainingMs()).toBe(140);
    calls[0]?.resolve('in time');
    expect(await long).toBe('in time');
    expect(clock.pending).toBe(0);
  });

  it('has no deadline when one waiter has none', async () => {
    const group = singleFlight<string, string>();
    const { calls, load } = manual();
    const waiting = [
      group.run('k', load, { timeoutMs: 1_000 }),
      group.run('k', load, { timeoutMs: Number.POSITIVE_INFINITY }),
    ];
    await turn();
    expect(calls[0]?.call.remainingMs()).toBe(Number.POSITIVE_INFINITY);
    calls[0]?.resolve('x');
    await Promise.all(waiting);
  });

  it('lets a write during the read win', async () => {
    const group = singleFlight<string, string>();
    const { calls, load } = manual();
    const before = group.run('k', load);
    await turn();
    expect(calls[0]?.call.isCurrent()).toBe(true);
    group.forget('k');
    expect(calls[0]?.call.isCurrent()).toBe(false);
    const after = group.run('k', load);
    await turn();
    expect(calls[1]?.call.isCurrent()).toBe(true);
    calls[0]?.resolve('old');
    expect(await before).toBe('old');
    expect(group.size).toBe(1);
    calls[1]?.resolve('new');
    expect(await after).toBe('new');
    group.forget('absent');
  });

  it('refuses a waiter whose signal is aborted already', async () => {
    const group = singleFlight<string, string>();
    const { calls, load } = manual();
    await expect(group.run('k', load, { signal: AbortSignal.abort('before') })).rejects.toBe('before');
    expect(calls).toHaveLength(0);
  });

  it('passes secret references on, and says so when it cannot', async () => {
    const group = singleFlight<string, string>({ secret: async (reference) => `text of ${reference}` });
    expect(await group.run('k', (call) => call.secret('secret://a'))).toBe('text of secret://a');
    const without = singleFlight<string, string>().run('k', (call) => call.secret('secret://a'));
    await expect(without).rejects.toMatchObject({ code: 'MNOPS_CORE_CONFIG_INVALID' });
  });

  it('shares one load among ten thousand waiters', async () => {
    const group = singleFlight<string, string>();
    const { calls, load } = manual();
    const all = Array.from({ length: 10_000 }, () => group.run('k', load, { timeoutMs: 60_000 }));
    await turn();
    calls[0]?.resolve('x');
    expect(new Set(await Promise.all(all))).toEqual(new Set(['x']));
    expect(calls).toHaveLength(1);
  });
});
