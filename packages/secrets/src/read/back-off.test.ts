import { coreError } from '@mnops/core';
import type { SecretProvider } from '@mnops/core/spi';
import { fakeClock } from '@mnops/core/testing';
import { expect, it } from 'vitest';
import { memory } from '../providers/memory/index.js';
import { SecretsManager } from '../secrets-manager.js';

it('counts one failed attempt once, however many readers waited for it', async () => {
  const clock = fakeClock();
  const store = memory({ values: { a: 'x' }, clock });
  let down = false;
  let asked = 0;
  const provider: SecretProvider = {
    ...store,
    get: (path, at, call) => {
      asked += 1;
      return down ? Promise.reject(coreError('MNOPS_CORE_UNAVAILABLE', 'down')) : store.get(path, at, call);
    },
  };
  const cache = { ttlMs: 1_000, jitter: 0, staleWhileRevalidateMs: 0, staleOnErrorMs: 3_600_000 };
  const secrets = new SecretsManager({ provider, clock, cache, audit: false, retry: { maxAttempts: 1 } });
  await secrets.get('a');
  down = true;
  await clock.advance(1_000);
  const values = await Promise.all(Array.from({ length: 50 }, () => secrets.get('a')));
  expect(values.every((value) => value?.stale === true)).toBe(true);
  expect(asked).toBe(2);
  // The first pause is one second at most; fifty failures would be a minute.
  await clock.advance(1_000);
  await secrets.get('a');
  expect(asked).toBe(3);
  await secrets.stop();
});
