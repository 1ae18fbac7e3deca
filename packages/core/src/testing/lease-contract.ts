import assert from 'node:assert/strict';
import { MnopsError } from '../errors/mnops-error.js';
import type { HeldLease, Lease } from '../spi/lease.js';
import { type ContractRunner, type ContractSubject, casesOf, identityCases } from './contract.js';
import { testCall } from './test-call.js';

/** A lease under test. */
export interface LeaseSubject extends ContractSubject<Lease> {
  /** A second competitor for the same leases, as another process would be. */
  readonly rival: Lease;
  /** Lets time pass for both. */
  wait(ms: number): Promise<void>;
}

/** What a lease cannot do better. */
export interface LeaseLimits {
  /** Time-to-live that the cases use, milliseconds. Default 10_000. */
  readonly ttlMs?: number | undefined;
}

/** Holds a `Lease` to its interface: one holder at a time, tokens that only grow, a signal that ends before the lease does. */
export function leaseContract(
  runner: ContractRunner,
  name: string,
  create: () => Promise<LeaseSubject>,
  limits: LeaseLimits = {},
): void {
  const ttlMs = limits.ttlMs ?? 10_000;
  const take = (lease: Lease, lock = 'nightly'): Promise<HeldLease | undefined> =>
    lease.acquire(lock, { ttlMs, owner: lease.id }, testCall());
  const must = async (lease: Lease, lock?: string): Promise<HeldLease> => {
    const held = await take(lease, lock);
    assert.ok(held !== undefined, 'the lease is free');
    return held;
  };
  const conflict = (error: unknown): boolean => MnopsError.is(error, 'MNOPS_CORE_CONFLICT');
  /** Lets the lease run out for a rival that may have to watch it for its whole time. */
  const runOut = async ({ rival, wait }: LeaseSubject): Promise<void> => {
    assert.equal(await take(rival), undefined, 'the lease is held');
    await wait(ttlMs + 1);
  };

  runner.describe(`lease contract: ${name}`, () => {
    const test = casesOf(runner, create);
    identityCases<Lease>(test, 'lease');

    test('gives a free lease, with a token and a live signal', async ({ provider }) => {
      const held = await must(provider);
      assert.equal(typeof held.token, 'bigint');
      assert.ok(held.token > 0n, 'tokens begin above 0');
      assert.equal(held.signal.aborted, false);
      await held.release(testCall());
    });

    test('gives a held lease to nobody, not to its holder either', async ({ provider, rival }) => {
      const held = await must(provider);
      assert.equal(await take(rival), undefined);
      assert.equal(await take(provider), undefined);
      await held.release(testCall());
    });

    test('has one winner when several ask at once', async ({ provider, rival }) => {
      const asked = [provider, rival, provider, rival, provider, rival].map((lease) => take(lease));
      const won = (await Promise.all(asked)).filter((held) => held !== undefined);
      assert.equal(won.length, 1);
      await won[0]?.release(testCall());
    });

    test('keeps names apart, whatever their characters', async ({ provider }) => {
      const names = ['a', 'A', 'a/b', '../a', '..', 'a b', 'ä', '%61', 'x'.repeat(300)];
      const held = [];
      for (const lock of names) held.push(await must(provider, lock));
      for (const lease of held) await lease.release(testCall());
    });

    test('is free again after release, with a larger token', async ({ provider, rival }) => {
      const first = await must(provider);
      await first.release(testCall());
      const second = await must(rival);
      assert.ok(second.token > first.token, `${second.token} > ${first.token}`);
      await second.release(testCall());
    });

    test('ends its signal at release, and takes a second release', async ({ provider, rival }) => {
      const first = await must(provider);
      await first.release(testCall());
      assert.equal(first.signal.aborted, true);
      const second = await must(rival);
      await first.release(testCall());
      assert.equal(await take(provider), undefined, 'a late release does not free the next holder');
      await second.release(testCall());
    });

    test('aborts the signal before the time is up', async ({ provider, rival, wait }) => {
      const held = await must(provider);
      await wait(ttlMs * 0.5);
      assert.equal(held.signal.aborted, false, 'half of the time is the holder’s');
      await wait(ttlMs * 0.4);
      assert.equal(held.signal.aborted, true, 'the end has a margin');
      assert.equal(await take(rival), undefined, 'nobody else has it before the time is up');
    });

    test('is free for others once the time is up, with a larger token', async (subject) => {
      const first = await must(subject.provider);
      await runOut(subject);
      const second = await must(subject.rival);
      assert.ok(second.token > first.token);
      assert.equal(first.signal.aborted, true);
      await assert.rejects(first.renew(testCall()), conflict);
      await first.release(testCall());
      assert.equal(await take(subject.provider), undefined, 'who lost the lease cannot release it');
      await second.release(testCall());
    });

    test('lasts as long as it is renewed', async (subject) => {
      const held = await must(subject.provider);
      for (let round = 0; round < 6; round += 1) {
        await subject.wait(ttlMs * 0.5);
        assert.equal(held.signal.aborted, false, `alive in round ${round}`);
        await held.renew(testCall());
        assert.equal(await take(subject.rival), undefined);
      }
      await held.release(testCall());
    });

    test('does not come back to life once its signal has ended', async ({ provider, wait }) => {
      const held = await must(provider);
      await wait(ttlMs * 0.9);
      assert.equal(held.signal.aborted, true);
      await assert.rejects(held.renew(testCall()), conflict);
      assert.equal(held.signal.aborted, true);
    });

    test('never repeats a token', async (subject) => {
      const tokens: bigint[] = [];
      for (let round = 0; round < 6; round += 1) {
        const held = await must(round % 2 === 0 ? subject.provider : subject.rival);
        tokens.push(held.token);
        await held.release(testCall());
      }
      tokens.forEach((token, index) => {
        if (index > 0) assert.ok(token > (tokens[index - 1] ?? 0n), `tokens grow: ${tokens.join(', ')}`);
      });
    });

    test('ends with the reason of an aborted call and takes nothing', async ({ provider, rival }) => {
      const reason = new Error('aborted before');
      const call = testCall({ signal: AbortSignal.abort(reason) });
      await assert.rejects(provider.acquire('nightly', { ttlMs, owner: 'x' }, call), reason);
      await (await must(rival)).release(testCall());
    });
  });
}
