import { describe, expect, it } from 'vitest';
import { coreError } from '../errors/core-error.js';
import type { ObjectStore } from '../spi/object-store.js';
import { objectStoreContract } from '../testing/object-store-contract.js';
import { testCall } from '../testing/test-call.js';
import { memoryStore } from './memory-store.js';
import { retrying } from './retrying.js';

const down = () => coreError('MNOPS_CORE_UNAVAILABLE', 'down');
const instant = { clock: { sleep: async () => undefined } };

objectStoreContract({ describe, it }, 'retrying(memoryStore)', async () => ({ provider: retrying(memoryStore()) }));

/** A store whose calls, and the middles of whose streams, fail every second time. */
function shaky(): { store: ObjectStore; good: ObjectStore; calls: string[] } {
  const good = memoryStore();
  const calls: string[] = [];
  const failing = new Set<string>();
  const trip = (what: string): void => {
    calls.push(what);
    if (failing.delete(what)) return;
    failing.add(what);
    throw down();
  };
  const store: ObjectStore = {
    ...good,
    head: async (name, call) => {
      trip('head');
      return await good.head(name, call);
    },
    delete: async (name, call) => {
      trip('delete');
      await good.delete(name, call);
    },
    put: async (name, body, call) => {
      trip('put');
      return await good.put(name, body, call);
    },
    get: async (name, call) => {
      trip('get');
      const stored = await good.get(name, call);
      if (stored === undefined) return undefined;
      const body = async function* (): AsyncGenerator<Uint8Array> {
        for await (const part of stored.body) {
          for (let at = 0; at < part.length; at += 4) {
            if (at > 0) throw down();
            yield part.subarray(at, at + 4);
          }
        }
      };
      return { ...stored, body: body() };
    },
    list: async function* (prefix, call) {
      let seen = 0;
      for await (const info of good.list(prefix, call)) {
        if (seen === 2 && calls.filter((what) => what === 'list').length < 2) {
          calls.push('list');
          throw down();
        }
        seen += 1;
        yield info;
      }
    },
    extendRetention: async () => trip('extendRetention'),
  };
  return { store, good, calls };
}

async function text(
  store: ObjectStore,
  name: string,
  range?: { start: number; end?: number },
): Promise<string | undefined> {
  const stored = await store.get(name, { ...testCall(), range });
  if (stored === undefined) return undefined;
  const parts: Uint8Array[] = [];
  for await (const part of stored.body) parts.push(part);
  return Buffer.concat(parts).toString();
}

describe('retrying', () => {
  it('repeats every call, and goes on in the middle of bodies and lists', async () => {
    const { store, calls } = shaky();
    const patient = retrying(store, instant);
    await patient.put('a', Buffer.from('0123456789'), testCall());
    await patient.put('b', Buffer.from(''), testCall());
    await patient.put('c', Buffer.from('x'), testCall());
    expect((await patient.head('a', testCall()))?.size).toBe(10);
    expect(await text(patient, 'a')).toBe('0123456789');
    expect(await text(patient, 'a', { start: 1, end: 8 })).toBe('1234567');
    const names: string[] = [];
    for await (const { name } of patient.list('', testCall())) names.push(name);
    expect(names).toEqual(['a', 'b', 'c']);
    await patient.extendRetention?.('a', 1, testCall());
    await patient.delete('a', testCall());
    expect(calls.filter((call) => call === 'put')).toHaveLength(6);
  });

  it('does not repeat a stream, which can be read once', async () => {
    const { store, calls } = shaky();
    async function* body(): AsyncGenerator<Uint8Array> {
      yield Buffer.from('x');
    }
    await expect(retrying(store, instant).put('a', body(), testCall())).rejects.toMatchObject({ message: 'down' });
    expect(calls).toEqual(['put']);
  });

  it('says that a conflict may be of its own making', async () => {
    const good = memoryStore();
    let lost = true;
    const store: ObjectStore = {
      ...good,
      put: async (...all) => {
        const info = await good.put(...all);
        if (lost) {
          lost = false;
          throw down();
        }
        return info;
      },
    };
    const put = () => retrying(store, instant).put('a', Buffer.from('x'), { ...testCall(), ifAbsent: true });
    await expect(put()).rejects.toMatchObject({ code: 'MNOPS_CORE_CONFLICT', details: { ambiguous: true } });
    await expect(put()).rejects.toMatchObject({ code: 'MNOPS_CORE_CONFLICT', details: undefined });
  });

  it('does not put two versions together', async () => {
    const { store, good } = shaky();
    await good.put('a', Buffer.from('first version'), testCall());
    const stored = await retrying(store, instant).get('a', testCall());
    const body = stored?.body[Symbol.asyncIterator]();
    await body?.next();
    await good.put('a', Buffer.from('second version'), testCall());
    await expect(body?.next()).rejects.toMatchObject({ code: 'MNOPS_CORE_CONFLICT' });
  });

  it('passes opening and closing on, and what the store has no ranges for', async () => {
    const seen: string[] = [];
    const good = memoryStore();
    const store: ObjectStore = {
      ...good,
      capabilities: { ...good.capabilities, ranges: false },
      open: async () => void seen.push('open'),
      close: async () => void seen.push('close'),
    };
    const patient = retrying(store);
    await patient.open?.(testCall());
    await patient.put('a', Buffer.from('x'), testCall());
    expect(await text(patient, 'a')).toBe('x');
    expect(await text(patient, 'b')).toBeUndefined();
    await patient.close?.(testCall());
    expect(seen).toEqual(['open', 'close']);
    expect(retrying(good).extendRetention).toBeUndefined();
  });
});
