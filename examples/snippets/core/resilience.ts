import assert from 'node:assert/strict';
// #region retry
import { callOf, coreError } from '@mnops/core';
import { circuitBreaker, retry, retryBudget, singleFlight } from '@mnops/core/resilience';

const call = callOf({ timeoutMs: 5_000 });
const budget = retryBudget({ perSecond: 10 }); // shared by all calls of a host
let attempts = 0;

const value = await retry(
  async () => {
    attempts += 1;
    if (attempts < 3) throw coreError('MNOPS_CORE_UNAVAILABLE', 'The back end is down.');
    return 'up again';
  },
  { signal: call.signal, remainingMs: call.remainingMs, budget, baseDelayMs: 5 },
);
assert.equal(value, 'up again');
call.end();
// #endregion

// #region breaker
const breaker = circuitBreaker({ failures: 2, openMs: 10_000 });
const failing = () => Promise.reject(coreError('MNOPS_CORE_UNAVAILABLE', 'The back end is down.'));
for (let failed = 0; failed < 2; failed += 1) await breaker.run(failing).catch(() => undefined);

assert.equal(breaker.state, 'open');
await assert.rejects(
  breaker.run(async () => 'never sent'),
  { code: 'MNOPS_CORE_UNAVAILABLE' },
);
// #endregion

// #region single-flight
const reads = singleFlight<string, string>();
let loads = 0;
const load = async (): Promise<string> => {
  loads += 1;
  return 'value';
};
const controller = new AbortController();
const waiters = [
  reads.run('db/password', load, { timeoutMs: 1_000 }),
  reads.run('db/password', load, { signal: controller.signal }),
];
controller.abort(new Error('this one gave up')); // the other waiter is left alone

const [first, second] = await Promise.allSettled(waiters);
assert.equal(first?.status, 'fulfilled');
assert.equal(second?.status, 'rejected');
assert.equal(loads, 1);
// #endregion
