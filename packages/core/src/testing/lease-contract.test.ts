import { describe, expect, it } from 'vitest';
import { coreError } from '../errors/core-error.js';
import type { Lease } from '../spi/lease.js';
import { failingCases } from './failing-cases.js';
import { fakeClock } from './fake-clock.js';
import { type LeaseSubject, leaseContract } from './lease-contract.js';

interface Rules {
  nextToken(last: bigint): bigint;
  isFree(state: { readonly released: boolean; readonly endsAt: number }, now: number): boolean;
  readonly marginShare: number;
  readonly endsAtRelease: boolean;
  readonly releaseChecksToken: boolean;
  readonly renewChecks: boolean;
  readonly renewExtends: boolean;
  readonly listens: boolean;
  key(name: string): string;
}

const good: Rules = {
  nextToken: (last) => last + 1n,
  isFree: ({ released, endsAt }, now) => released || now >= endsAt,
  marginShare: 0.2,
  endsAtRelease: true,
  releaseChecksToken: true,
  renewChecks: true,
  renewExtends: true,
  listens: true,
  key: (name) => name,
};

/** Leases in memory for two competitors; a test breaks one rule. */
async function subject(broken: Partial<Rules> = {}): Promise<LeaseSubject> {
  const rules = { ...good, ...broken };
  const clock = fakeClock();
  const table = new Map<string, { token: bigint; released: boolean; endsAt: number }>();
  const make = (id: string): Lease => ({
    specVersion: 1,
    kind: 'lease',
    id,
    async acquire(name, { ttlMs }, call) {
      if (rules.listens) call.signal.throwIfAborted();
      const key = rules.key(name);
      const before = table.get(key);
      if (before !== undefined && !rules.isFree(before, clock.monotonic())) return undefined;
      const mine = { token: rules.nextToken(before?.token ?? 0n), released: false, endsAt: clock.monotonic() + ttlMs };
      table.set(key, mine);
      const controller = new AbortController();
      const arm = () => clock.setTimer(ttlMs * (1 - rules.marginShare), () => controller.abort());
      let timer = arm();
      return {
        token: mine.token,
        signal: controller.signal,
        async renew() {
          const lost = controller.signal.aborted || table.get(key) !== mine;
          if (rules.renewChecks && lost) throw coreError('MNOPS_CORE_CONFLICT', 'lost');
          if (!rules.renewExtends) return;
          mine.endsAt = clock.monotonic() + ttlMs;
          timer.cancel();
          timer = arm();
        },
        async release() {
          timer.cancel();
          if (rules.endsAtRelease) controller.abort();
          const current = table.get(key);
          if (current !== undefined && (current === mine || !rules.releaseChecksToken)) current.released = true;
        },
      };
    },
  });
  return { provider: make('one'), rival: make('two'), wait: (ms) => clock.advance(ms) };
}

leaseContract({ describe, it }, 'leases in memory', () => subject());

describe('leaseContract catches a lease that', () => {
  const oneHolder = 'gives a held lease to nobody, not to its holder either';
  const winner = 'has one winner when several ask at once';
  const apart = 'keeps names apart, whatever their characters';
  const freeAgain = 'is free again after release, with a larger token';
  const endsSignal = 'ends its signal at release, and takes a second release';
  const early = 'aborts the signal before the time is up';
  const timeUp = 'is free for others once the time is up, with a larger token';
  const renewed = 'lasts as long as it is renewed';
  const dead = 'does not come back to life once its signal has ended';
  const never = 'never repeats a token';
  const aborted = 'ends with the reason of an aborted call and takes nothing';
  const cases: [string, Partial<Rules>, string[]][] = [
    ['has several holders', { isFree: () => true }, [oneHolder, winner, endsSignal, early, timeUp, renewed]],
    ['keeps to one token', { nextToken: () => 1n }, [freeAgain, timeUp, never]],
    [
      'begins at nothing',
      { nextToken: (last) => (last === 0n ? -9n : last + 1n) },
      ['gives a free lease, with a token and a live signal'],
    ],
    ['mixes names up', { key: (name) => name.toLowerCase() }, [apart]],
    ['works to the last moment', { marginShare: 0 }, [early, dead]],
    ['stops at half-time', { marginShare: 0.6 }, [early, renewed]],
    ['goes on after release', { endsAtRelease: false }, [endsSignal]],
    ['lets a late release free the next holder', { releaseChecksToken: false }, [endsSignal, timeUp]],
    ['renews what is lost', { renewChecks: false }, [timeUp, dead]],
    ['does not extend', { renewExtends: false }, [renewed]],
    ['never becomes free', { isFree: ({ released }) => released }, [timeUp]],
    ['does not notice an abort', { listens: false }, [aborted]],
  ];
  it.each(cases)('%s', async (_, broken, expected) => {
    const failing = await failingCases((runner) => leaseContract(runner, 'broken', () => subject(broken)));
    expect(failing).toEqual(expected);
  });
});
