import { describe, expect, it } from 'vitest';
import { fakeClock } from '../testing/fake-clock.js';
import { objectStoreContract } from '../testing/object-store-contract.js';
import { testCall } from '../testing/test-call.js';
import { memoryStore } from './memory-store.js';

objectStoreContract({ describe, it }, 'memoryStore', async () => ({ provider: memoryStore() }));

describe('memoryStore', () => {
  it('holds no more than it may', async () => {
    const store = memoryStore({ maxBytes: 10 });
    await store.put('a', Buffer.alloc(6), testCall());
    await expect(store.put('b', Buffer.alloc(5), testCall())).rejects.toMatchObject({ code: 'MNOPS_CORE_TOO_LARGE' });
    await store.delete('a', testCall());
    await store.put('b', Buffer.alloc(10), testCall());
  });

  it('refuses two conditions that contradict each other', async () => {
    const both = memoryStore().put('a', Buffer.alloc(1), { ...testCall(), ifAbsent: true, ifMatch: 'x' });
    await expect(both).rejects.toMatchObject({ code: 'MNOPS_CORE_CONFIG_INVALID' });
  });

  it('dates objects by its clock', async () => {
    const clock = fakeClock({ nowMs: 1_000 });
    const info = await memoryStore({ clock }).put('a', Buffer.alloc(1), testCall());
    expect(info.modifiedMs).toBe(1_000);
    expect(() => memoryStore({ maxByte: 1 } as never)).toThrow(/maxBytes/);
  });
});
