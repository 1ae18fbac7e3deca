import assert from 'node:assert/strict';
import type { LogEntry, LogStore, LogStoreQuery, NewLogEntry } from '../spi/log.js';
import { type ContractRunner, type ContractSubject, casesOf, identityCases } from './contract.js';
import { eventually, testCall } from './test-call.js';

/** A log store under test. */
export interface LogStoreSubject extends ContractSubject<LogStore> {
  /** The same data opened anew. Needed when `durable` is declared; `close` then frees both. */
  reopen?(): Promise<LogStore>;
}

const all: LogStoreQuery = { sort: 'oldest-first', limit: 1000, maxScanBytes: Number.POSITIVE_INFINITY };
const traceId = '0af7651916cd43dd8448eb211c80319c';

/** Holds a `LogStore` to its interface: what was appended is found whole, by every condition, page by page, once. */
export function logStoreContract(runner: ContractRunner, name: string, create: () => Promise<LogStoreSubject>): void {
  runner.describe(`log store contract: ${name}`, () => {
    const test = casesOf(runner, create);
    identityCases<LogStore>(test, 'log-store');

    test('gives every field back, with an id', async ({ provider }) => {
      const full: NewLogEntry = {
        ...entry(1),
        observedMs: 5_000,
        level: 'error',
        severityNumber: 21,
        logger: 'http',
        attributes: { nested: { list: [1, null, 'x'] }, 'with.dot': true, number: 1.5, text: 'fünf ☂\n"quoted"' },
        traceId,
        spanId: 'b7ad6b7169203331',
        format: 'json',
        flags: ['lenient'],
      };
      await provider.append({ entries: [full] }, testCall());
      const { entries } = await provider.search(all, testCall());
      assert.equal(entries.length, 1);
      const { id, ...rest } = entries[0] as LogEntry;
      assert.ok(id.length > 0, 'the entry has an id');
      assert.deepEqual({ ...rest }, { ...full });
    });

    test('finds by time, severity, field, text and trace id', async ({ provider }) => {
      const severe = { ...entry(2), level: 'error', severityNumber: 17, traceId } as const;
      await provider.append({ entries: [entry(1), severe, entry(3)] }, testCall());
      const found = async (query: Partial<LogStoreQuery>): Promise<unknown[]> =>
        numbers(provider, { ...all, ...query });
      assert.deepEqual(await found({ fromMs: 1_002 }), [2, 3], 'fromMs is the first moment');
      assert.deepEqual(await found({ toMs: 1_002 }), [1], 'toMs is the first moment after');
      assert.deepEqual(await found({ minSeverity: 13 }), [2]);
      assert.deepEqual(await found({ levels: ['info'] }), [1, 3]);
      assert.deepEqual(await found({ where: { number: 3 } }), [3]);
      assert.deepEqual(await found({ where: { number: { gt: 1, lte: 2 } } }), [2]);
      assert.deepEqual(await found({ where: { service: { not: 'shop' } } }), []);
      assert.deepEqual(await found({ text: 'ENTRY "number 1"' }), [1], 'words in any case, runs in order');
      assert.deepEqual(await found({ text: 'ntry' }), [], 'whole words only');
      assert.deepEqual(await found({ traceId }), [2]);
    });

    test('pages in either order without loss or repetition, over entries of one moment too', async ({ provider }) => {
      for (let batch = 0; batch < 5; batch += 1) {
        const entries = Array.from({ length: 5 }, (_, index) => ({
          ...entry(batch * 5 + index),
          timeMs: 1_000 + batch,
        }));
        await provider.append({ entries }, testCall());
      }
      for (const sort of ['newest-first', 'oldest-first'] as const) {
        const seen: LogEntry[] = [];
        let after: string | undefined;
        do {
          const page = await provider.search({ ...all, sort, limit: 4, after }, testCall());
          assert.ok(page.entries.length <= 4, 'a page holds no more than its limit');
          seen.push(...page.entries);
          after = page.next;
        } while (after !== undefined && seen.length <= 25);
        assert.equal(new Set(seen.map(({ id }) => id)).size, 25);
        assert.equal(seen.length, 25);
        const times = seen.map(({ timeMs }) => timeMs);
        assert.deepEqual(
          times,
          times.toSorted((a, b) => (sort === 'newest-first' ? b - a : a - b)),
        );
      }
    });

    test('says when the scan limit made the answer partial', async ({ provider }) => {
      for (let index = 0; index < 10; index += 1) await provider.append({ entries: [entry(index)] }, testCall());
      const { partial } = await provider.search({ ...all, maxScanBytes: 1 }, testCall());
      assert.deepEqual(partial, ['scan-limit']);
      assert.deepEqual((await provider.search(all, testCall())).partial, []);
    });

    test('keeps the last checkpoint of each source', async ({ provider }) => {
      assert.equal(await provider.checkpoint('a', testCall()), undefined);
      await provider.append({ entries: [entry(1)], checkpoint: { source: 'a', value: 1 } }, testCall());
      await provider.append({ entries: [], checkpoint: { source: 'a', value: { offset: 2 } } }, testCall());
      await provider.append({ entries: [entry(2)], checkpoint: { source: 'b', value: 'x' } }, testCall());
      assert.deepEqual(await provider.checkpoint('a', testCall()), { offset: 2 });
      assert.equal(await provider.checkpoint('b', testCall()), 'x');
    });

    test('follows what arrives, once, until it is aborted', async ({ provider }) => {
      await provider.append({ entries: [entry(1)] }, testCall());
      const abort = new AbortController();
      const seen: unknown[] = [];
      const following = (async () => {
        for await (const { attributes } of provider.follow(all, { ...testCall(), signal: abort.signal })) {
          seen.push(attributes['number']);
        }
      })();
      let next = 2;
      await eventually(async () => {
        // Following begins a moment after the call; one of these entries is the first that it sees.
        await provider.append({ entries: [entry(next)] }, testCall());
        next += 1;
        assert.ok(seen.length > 0);
      });
      const first = Number(seen[0]);
      await eventually(async () => assert.equal(seen.at(-1), next - 1));
      abort.abort();
      await following;
      assert.ok(first > 1, 'what was there before is not followed');
      assert.deepEqual(
        seen,
        Array.from({ length: next - first }, (_, index) => first + index),
      );
    });

    test('keeps what was acknowledged, where it is durable', async ({ provider, reopen }) => {
      if (!provider.capabilities.durable) return;
      assert.ok(reopen !== undefined, 'a durable store is tested with `reopen`');
      await provider.append({ entries: [entry(1)], checkpoint: { source: 'a', value: 1 } }, testCall());
      const before = (await provider.search(all, testCall())).entries;
      const again = await reopen();
      assert.deepEqual((await again.search(all, testCall())).entries, before);
      assert.equal(await again.checkpoint('a', testCall()), 1);
    });
  });
}

function entry(number: number): NewLogEntry {
  return {
    stream: 'shop/1/stdout',
    timeMs: 1_000 + number,
    observedMs: 1_000 + number,
    level: 'info',
    severityNumber: 9,
    message: `entry number ${number}`,
    attributes: { number },
    resource: { 'service.name': 'shop' },
  };
}

async function numbers(store: LogStore, query: LogStoreQuery): Promise<unknown[]> {
  const { entries } = await store.search(query, testCall());
  return entries.map(({ attributes }) => attributes['number']);
}
