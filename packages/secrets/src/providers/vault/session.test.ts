import { coreError } from '@mnops/core';
import { eventually, type FakeClock, fakeClock, testCall } from '@mnops/core/testing';
import { describe, expect, it } from 'vitest';
import type { VaultAnswer, VaultRequest } from './answers.js';
import { VaultSession } from './session.js';

const dayMs = 86_400_000;
const ttlSeconds = 2_764_800; // 768 h, Vault's default

interface Server {
  readonly calls: string[];
  /** Answers renewals; by default as often as asked. */
  renewal: () => VaultAnswer | Promise<VaultAnswer>;
  login: () => VaultAnswer | Promise<VaultAnswer>;
  lookup: () => VaultAnswer;
}

function granted(token: string, seconds = ttlSeconds, renewable = true): VaultAnswer {
  return { status: 200, body: { auth: { client_token: token, lease_duration: seconds, renewable } } };
}

function server(): Server & { exchange(request: VaultRequest): Promise<VaultAnswer> } {
  let tokens = 0;
  const made: Server = {
    calls: [],
    renewal: () => granted(`token-${tokens}`),
    login: () => granted(`token-${++tokens}`),
    lookup: () => ({ status: 200, body: { data: { ttl: ttlSeconds, renewable: true } } }),
  };
  return Object.assign(made, {
    exchange: async ({ operation }: VaultRequest) => {
      made.calls.push(operation);
      if (operation === 'login') return await made.login();
      return operation === 'lookup-self' ? made.lookup() : await made.renewal();
    },
  });
}

const auth = { appRole: { roleId: 'r', secretId: 's' } };

function session(made: ReturnType<typeof server>, clock: FakeClock): VaultSession {
  return new VaultSession(auth, made.exchange, { clock, random: () => 0.5 });
}

const outage = (): never => {
  throw coreError('MNOPS_CORE_UNAVAILABLE', 'away');
};

describe('the life of a token', () => {
  it('of 768 h takes at most 2 renewals in 30 days, although the wait is longer than a timer of Node', async () => {
    const [made, clock] = [server(), fakeClock()];
    const life = session(made, clock);
    await life.token(testCall());
    for (let day = 0; day < 30; day += 1) {
      await clock.advance(dayMs);
      expect(await life.token(testCall())).toBe('token-1');
    }
    const renewals = made.calls.filter((call) => call === 'renew-self').length;
    expect(renewals).toBeGreaterThanOrEqual(1);
    expect(renewals).toBeLessThanOrEqual(2);
    expect(made.calls.filter((call) => call === 'login').length).toBe(1);
  });

  it('is kept when it was given, from open on', async () => {
    const [made, clock] = [server(), fakeClock()];
    const life = new VaultSession({ token: 'given' }, made.exchange, { clock, random: () => 0.5 });
    made.renewal = () => granted('given');
    await life.open(testCall());
    await clock.advance(30 * dayMs);
    expect(made.calls.slice(0, 2)).toEqual(['lookup-self', 'renew-self']);
    expect(made.calls.length).toBeLessThanOrEqual(3);
    life.close();
  });

  it('sends nothing after close, whatever was under way', async () => {
    const [made, clock] = [server(), fakeClock()];
    const life = session(made, clock);
    await life.token(testCall());
    let answer: ((value: VaultAnswer) => void) | undefined;
    made.renewal = () => new Promise((resolve) => (answer = resolve));
    await clock.advance(25 * dayMs);
    expect(made.calls).toEqual(['login', 'renew-self']);
    life.close();
    answer?.(granted('token-1'));
    await clock.advance(400 * dayMs);
    expect(made.calls).toEqual(['login', 'renew-self']);
    expect(clock.pending).toBe(0);
    await expect(life.token(testCall())).rejects.toMatchObject({ code: 'MNOPS_CORE_CLOSED' });
  });

  it('takes no token from a sign-in that ends after close', async () => {
    const [made, clock] = [server(), fakeClock()];
    const life = session(made, clock);
    let answer: ((value: VaultAnswer) => void) | undefined;
    made.login = () => new Promise((resolve) => (answer = resolve));
    const waiting = life.token(testCall()).catch((error: unknown) => error);
    await eventually(() => answer !== undefined);
    life.close();
    answer?.(granted('late'));
    expect(await waiting).toMatchObject({ code: 'MNOPS_CORE_CLOSED' });
    await clock.advance(100 * dayMs);
    expect(made.calls).toEqual(['login']);
    expect(clock.pending).toBe(0);
  });

  it('survives failed renewals: pauses double from 10 s to 5 min, and one success ends them', async () => {
    const [made, clock] = [server(), fakeClock()];
    const life = session(made, clock);
    await life.token(testCall());
    const at: number[] = [];
    made.renewal = () => {
      at.push(clock.monotonic());
      return outage();
    };
    await clock.advance(22.93 * dayMs);
    await clock.advance(3_600_000);
    const pauses = at.slice(1).map((instant, index) => Math.round((instant - (at[index] ?? 0)) / 1_000));
    expect(pauses.slice(0, 8)).toEqual([10, 20, 40, 80, 160, 300, 300, 300]);
    made.renewal = () => granted('token-1');
    await clock.advance(600_000);
    const before = made.calls.length;
    await clock.advance(dayMs);
    expect(made.calls.length).toBe(before);
    expect(await life.token(testCall())).toBe('token-1');
  });

  it('ends when nothing renews it, and the next use signs in', async () => {
    const [made, clock] = [server(), fakeClock()];
    const life = session(made, clock);
    await life.token(testCall());
    made.renewal = outage;
    await clock.advance(33 * dayMs);
    expect(clock.pending).toBe(0);
    expect(await life.token(testCall())).toBe('token-2');
  });

  it('is replaced in time when Vault grants no more than its longest life', async () => {
    const [made, clock] = [server(), fakeClock()];
    const life = session(made, clock);
    await life.token(testCall());
    made.renewal = () => granted('token-1', 600_000);
    await clock.advance(22.95 * dayMs);
    expect(made.calls).toEqual(['login', 'renew-self']);
    await clock.advance(6 * dayMs);
    expect(await life.token(testCall())).toBe('token-2');
    expect(made.calls).toEqual(['login', 'renew-self', 'login']);
  });

  it('goes on with the old one while the way to sign in is out of order', async () => {
    const [made, clock] = [server(), fakeClock()];
    const life = session(made, clock);
    made.login = () => granted('batch', 1_000, false);
    await life.token(testCall());
    made.login = outage;
    await clock.advance(950_000);
    expect(await life.token(testCall())).toBe('batch');
    await clock.advance(60_000);
    await expect(life.token(testCall())).rejects.toMatchObject({ code: 'MNOPS_CORE_UNAVAILABLE' });
  });

  it('without end is neither renewed nor replaced', async () => {
    const [made, clock] = [server(), fakeClock()];
    const life = session(made, clock);
    made.login = () => granted('endless', 0, false);
    await life.token(testCall());
    await clock.advance(1_000 * dayMs);
    expect(await life.token(testCall())).toBe('endless');
    expect(made.calls).toEqual(['login']);
  });

  it('does not hold the sign-in of others when one waiter goes', async () => {
    const [made, clock] = [server(), fakeClock()];
    const life = session(made, clock);
    const leaving = testCall();
    const first = life.token(leaving).catch((error: unknown) => error);
    const second = life.token(testCall());
    const reason = new Error('gone');
    leaving.abort(reason);
    expect(await first).toBe(reason);
    expect(await second).toBe('token-1');
    expect(made.calls).toEqual(['login']);
  });
});

describe('a refusal', () => {
  it('of a living token is the policy’s, and is looked up once in a while', async () => {
    const [made, clock] = [server(), fakeClock()];
    const life = session(made, clock);
    const token = await life.token(testCall());
    for (let index = 0; index < 5; index += 1) expect(await life.replaced(token, testCall())).toBe(false);
    expect(made.calls).toEqual(['login', 'lookup-self']);
    await clock.advance(10_001);
    expect(await life.replaced(token, testCall())).toBe(false);
    expect(made.calls).toEqual(['login', 'lookup-self', 'lookup-self']);
  });

  it('of a dead token leads to one sign-in for all who find it dead', async () => {
    const [made, clock] = [server(), fakeClock()];
    const life = session(made, clock);
    const token = await life.token(testCall());
    made.lookup = () => ({ status: 403, body: undefined });
    const all = await Promise.all(Array.from({ length: 20 }, () => life.replaced(token, testCall())));
    expect(all.every(Boolean)).toBe(true);
    expect(made.calls).toEqual(['login', 'lookup-self', 'login']);
    expect(await life.replaced(token, testCall())).toBe(true);
    expect(made.calls.length).toBe(3);
  });
});
