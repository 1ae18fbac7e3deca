import { coreError } from '@mnops/core';
import type { IssuedSecret, SecretProvider } from '@mnops/core/spi';
import { type FakeClock, fakeClock } from '@mnops/core/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { memory } from '../providers/memory/index.js';
import { SecretsManager } from '../secrets-manager.js';
import { nextStepMs } from './renewal.js';

/** A back end that issues numbered credentials, and remembers what became of them. */
interface Issuer {
  readonly provider: SecretProvider;
  readonly live: Map<string, string>;
  readonly calls: string[];
  /** What the next calls answer instead. */
  fail: Error | undefined;
  grantMs: number;
  maxTtlMs: number;
}

function issuer(clock: FakeClock): Issuer {
  const base = memory();
  const bornAt = new Map<string, number>();
  let issued = 0;
  const state: Issuer = {
    live: new Map(),
    calls: [],
    fail: undefined,
    grantMs: 60_000,
    maxTtlMs: Number.POSITIVE_INFINITY,
    provider: {
      ...base,
      capabilities: { ...base.capabilities, leases: true },
      async issue(path): Promise<IssuedSecret> {
        state.calls.push('issue');
        if (state.fail !== undefined) throw state.fail;
        issued += 1;
        const leaseId = `${path}/${issued}`;
        bornAt.set(leaseId, clock.monotonic());
        state.live.set(leaseId, `password-${issued}`);
        return { value: Buffer.from(`password-${issued}`), leaseId, ttlMs: state.grantMs, renewable: true };
      },
      async renew(leaseId) {
        state.calls.push('renew');
        if (state.fail !== undefined) throw state.fail;
        const left = (bornAt.get(leaseId) ?? 0) + state.maxTtlMs - clock.monotonic();
        return { ttlMs: Math.min(state.grantMs, left) };
      },
      async revoke(leaseId) {
        state.calls.push('revoke');
        state.live.delete(leaseId);
      },
    },
  };
  return state;
}

const outage = coreError('MNOPS_CORE_UNAVAILABLE', 'The back end is away.');
const path = 'database/creds/reader';

describe('leases', () => {
  let clock: FakeClock;
  let server: Issuer;
  let secrets: SecretsManager;

  beforeEach(() => {
    clock = fakeClock();
    server = issuer(clock);
    secrets = new SecretsManager({ provider: server.provider, clock, retry: { maxAttempts: 1 } });
  });

  afterEach(() => secrets.stop());

  it('gives a credential and takes it back at the end of its scope', async () => {
    const lease = await secrets.lease(path);
    expect(lease.value.reveal()).toBe('password-1');
    expect(`${lease.value}`).not.toContain('password-1');
    expect(server.live.size).toBe(1);
    expect(secrets.stats().leases).toBe(1);
    await lease[Symbol.asyncDispose]();
    await lease.revoke();
    expect(server.live.size).toBe(0);
    expect(server.calls.filter((call) => call === 'revoke')).toHaveLength(1);
    expect(() => lease.value).toThrow(expect.objectContaining({ code: 'MNOPS_SECRETS_LEASE_ENDED' }));
    expect(secrets.stats().leases).toBe(0);
    expect(clock.pending).toBe(0);
  });

  it('renews at about two thirds of its life, for as long as it is wanted', async () => {
    const lease = await secrets.lease(path);
    await clock.advance(600_000);
    expect(lease.value.reveal()).toBe('password-1');
    const renewals = server.calls.filter((call) => call === 'renew').length;
    expect(renewals).toBeGreaterThanOrEqual(12);
    expect(renewals).toBeLessThanOrEqual(16);
    expect(lease.expiresAt.getTime()).toBeGreaterThan(clock.now());
  });

  it('renews a lease of 32 days twice in 30 days at most', async () => {
    server.grantMs = 768 * 3_600_000;
    const lease = await secrets.lease(path);
    await clock.advance(30 * 24 * 3_600_000);
    expect(server.calls.filter((call) => call === 'renew').length).toBeLessThanOrEqual(2);
    expect(lease.status).toBe('active');
  });

  it('takes another credential when the first cannot live any longer, and says so', async () => {
    server.maxTtlMs = 100_000;
    const lease = await secrets.lease(path);
    const changes: string[] = [];
    lease.onChange((next, before) => changes.push(`${before.reveal()} > ${next.reveal()}`));
    await clock.advance(110_000);
    expect(changes).toEqual(['password-1 > password-2']);
    expect(lease.value.reveal()).toBe('password-2');
    expect(lease.status).toBe('active');
  });

  it('replaces what the back end has forgotten', async () => {
    const lease = await secrets.lease(path);
    server.fail = coreError('MNOPS_CORE_NOT_FOUND', 'No such lease.');
    await clock.advance(47_000);
    server.fail = undefined;
    await clock.advance(10_000);
    expect(lease.value.reveal()).toBe('password-2');
  });

  it('bears an outage shorter than its life', async () => {
    server.grantMs = 3_600_000;
    const lease = await secrets.lease(path);
    await clock.advance(2_300_000);
    server.fail = outage;
    await clock.advance(900_000);
    server.fail = undefined;
    await clock.advance(600_000);
    expect(lease.value.reveal()).toBe('password-1');
    expect(server.calls.filter((call) => call === 'renew').length).toBeLessThan(20);
    await expect(secrets.health()).resolves.toMatchObject({ status: 'healthy' });
  });

  it('says that it is lost when an outage outlasts it', async () => {
    const lost: unknown[] = [];
    secrets.on('lease:lost', (event) => lost.push(event));
    const lease = await secrets.lease(path);
    server.fail = outage;
    await clock.advance(61_000);
    expect(lease.status).toBe('lost');
    expect(lost).toEqual([{ path, leaseId: `${path}/1`, code: 'MNOPS_CORE_UNAVAILABLE' }]);
    expect(() => lease.value).toThrow(/has ended/);
    expect(clock.pending).toBe(0);
    expect((await secrets.health()).reasons.join()).toContain(path);
  });

  it('is not renewed when nobody asked for that', async () => {
    const lease = await secrets.lease(path, { renew: false });
    await clock.advance(61_000);
    expect(server.calls).toEqual(['issue']);
    expect(() => lease.value).toThrow(/has ended/);
  });

  it('gives everything back at the stop, or leaves it to its own end', async () => {
    await secrets.lease(path);
    await secrets.lease(path);
    await secrets.start();
    await secrets.stop();
    expect(server.live.size).toBe(0);

    const other = new SecretsManager({ provider: server.provider, clock });
    await other.start();
    await other.lease(path);
    await other.stop({ revokeLeases: false });
    expect(server.live.size).toBe(1);
    const before = server.calls.length;
    await clock.advance(600_000);
    expect(server.calls).toHaveLength(before);
  });

  it('takes nothing that comes back after the revoke', async () => {
    server.maxTtlMs = 60_000;
    const lease = await secrets.lease(path);
    let answer: () => void = () => undefined;
    const { issue } = server.provider;
    const slow = new Promise<void>((resolve) => {
      answer = resolve;
    });
    Object.assign(server.provider, {
      issue: async (...args: Parameters<NonNullable<typeof issue>>) => {
        await slow;
        return await issue?.apply(server.provider, args);
      },
    });
    await clock.advance(47_000);
    await clock.advance(12_500);
    await lease.revoke();
    answer();
    await clock.advance(1);
    expect([...server.live.keys()]).toEqual([]);
  });

  it('refuses what the provider cannot do, before anything is asked', async () => {
    const plain = new SecretsManager({ provider: memory(), clock });
    await expect(plain.lease(path)).rejects.toMatchObject({ code: 'MNOPS_CORE_UNSUPPORTED' });
    await expect(secrets.lease(path, { ttlMs: -1 })).rejects.toMatchObject({ code: 'MNOPS_CORE_CONFIG_INVALID' });
    expect(server.calls).toEqual([]);
    await plain.stop();
  });

  it('holds to the rules and is recorded', async () => {
    const guarded = new SecretsManager({
      provider: server.provider,
      clock,
      access: { roles: { app: [{ path: 'database/*', allow: ['lease'] }] }, actors: { web: ['app'], other: [] } },
    });
    await expect(guarded.as('other').lease(path)).rejects.toMatchObject({ code: 'MNOPS_CORE_ACCESS_DENIED' });
    const lease = await guarded.as('web').lease(path);
    await lease.revoke();
    const operations: string[] = [];
    for await (const { actor, operation, outcome } of guarded.audit.query()) {
      operations.push(`${actor} ${operation} ${outcome}`);
    }
    expect(operations).toEqual(['other lease denied', 'web lease ok', 'web lease:revoke ok']);
    await guarded.stop();
  });
});

describe('the pause before the next step', () => {
  it('is two thirds of what is left, and never behind the end', () => {
    for (const random of [0, 0.5, 1]) {
      const pause = nextStepMs({ now: 0, endsAt: 90_000, failures: 0, random });
      expect(pause).toBeGreaterThanOrEqual(60_000);
      expect(pause).toBeLessThanOrEqual(69_001);
      for (let failures = 1; failures < 40; failures += 1) {
        expect(nextStepMs({ now: 0, endsAt: 20, failures, random })).toBeLessThanOrEqual(20);
        expect(nextStepMs({ now: 0, endsAt: 1e9, failures, random })).toBeLessThanOrEqual(300_000);
      }
    }
  });
});
