import assert from 'node:assert/strict';
import { MnopsError } from '../errors/mnops-error.js';
import type { ObjectInfo, ObjectStore } from '../spi/object-store.js';
import {
  type ContractRunner,
  type ContractSubject,
  casesOf,
  failure,
  identityCases,
  remoteFailureCases,
} from './contract.js';
import { testCall } from './test-call.js';

/** A store under test; empty. */
export type ObjectStoreSubject = ContractSubject<ObjectStore>;

/** What a store cannot do better. */
export interface ObjectStoreLimits {
  /** Milliseconds by which `modifiedMs` of the same object may differ between answers. Default 0. */
  readonly timestampGranularityMs?: number | undefined;
  /** Bytes of the large body that is streamed. Default 3 MiB. */
  readonly largeBytes?: number | undefined;
}

type Test = (name: string, body: (subject: ObjectStoreSubject) => Promise<void>) => void;

/** Holds an `ObjectStore` to its interface: whole objects or none, conditions, ranges, order, names, failures. */
export function objectStoreContract(
  runner: ContractRunner,
  name: string,
  create: () => Promise<ObjectStoreSubject>,
  limits: ObjectStoreLimits = {},
): void {
  runner.describe(`object store contract: ${name}`, () => {
    const test = casesOf(runner, create);
    identityCases<ObjectStore>(test, 'object-store');
    readAndWriteCases(test, limits);
    streamCases(test, limits);
    conditionCases(test);
    rangeCases(test);
    listCases(test);
    nameCases(test);
    abortCases(test);
    remoteFailureCases<ObjectStore>(test, {
      get: { readsBody: false, run: (store, call) => store.get('a', call) },
      head: { readsBody: false, run: (store, call) => store.head('a', call) },
      put: { readsBody: false, run: (store, call) => store.put('a', Buffer.from('x'), call) },
      delete: { readsBody: false, run: (store, call) => store.delete('a', call) },
      list: { readsBody: true, run: async (store, call) => all(store.list('', call)) },
    });
  });
}

function readAndWriteCases(test: Test, limits: ObjectStoreLimits): void {
  test('declares what it can do', async ({ provider: { capabilities } }) => {
    assert.ok(['none', 'create', 'match'].includes(capabilities.conditionalPut), capabilities.conditionalPut);
    for (const key of ['objectLock', 'versions', 'ranges', 'serverTime', 'completeList', 'anyName'] as const) {
      assert.equal(typeof capabilities[key], 'boolean', key);
    }
    assert.ok(capabilities.maxObjectBytes > 0, 'maxObjectBytes is above 0');
  });

  test('absent is not an error', async ({ provider }) => {
    assert.equal(await provider.get('absent', testCall()), undefined);
    assert.equal(await provider.head('absent', testCall()), undefined);
    await provider.delete('absent', testCall());
    assert.deepEqual(await all(provider.list('', testCall())), []);
  });

  test('gives back what was put, with the same facts everywhere', async ({ provider }) => {
    const bytes = Buffer.from(Array.from({ length: 1_000 }, (_, index) => index % 256));
    const put = await provider.put('folder/object.bin', bytes, testCall());
    assert.equal(put.name, 'folder/object.bin');
    assert.equal(put.size, 1_000);
    assert.ok(put.etag.length > 0, 'an etag');
    assert.ok(Number.isInteger(put.modifiedMs) && put.modifiedMs > 0, 'modifiedMs is a time in whole milliseconds');
    const head = await provider.head('folder/object.bin', testCall());
    const listed = await all(provider.list('folder/', testCall()));
    assert.equal(listed.length, 1);
    const stored = await provider.get('folder/object.bin', testCall());
    assert.ok(stored !== undefined);
    assert.deepEqual(await bytesOf(stored.body), bytes);
    for (const info of [head, listed[0], stored]) assertSame(info, put, limits);
  });

  test('stores an empty object', async ({ provider }) => {
    const put = await provider.put('empty', new Uint8Array(0), testCall());
    assert.equal(put.size, 0);
    assert.equal((await provider.head('empty', testCall()))?.size, 0);
    assert.equal((await read(provider, 'empty'))?.length, 0);
  });

  test('replaces an object whole, with another etag', async ({ provider }) => {
    const first = await provider.put('a', Buffer.from('first version'), testCall());
    const second = await provider.put('a', Buffer.from('second'), testCall());
    assert.notEqual(second.etag, first.etag);
    assert.equal((await read(provider, 'a'))?.toString(), 'second');
    assert.equal((await all(provider.list('', testCall()))).length, 1);
  });

  test('deletes, and again', async ({ provider }) => {
    await provider.put('a', Buffer.from('x'), testCall());
    await provider.delete('a', testCall());
    assert.equal(await provider.head('a', testCall()), undefined);
    await provider.delete('a', testCall());
    assert.deepEqual(await all(provider.list('', testCall())), []);
  });

  test('keeps its bytes when the caller changes theirs', async ({ provider }) => {
    const bytes = Buffer.from('mine');
    await provider.put('a', bytes, testCall());
    bytes.fill(0);
    for await (const piece of (await provider.get('a', testCall()))?.body ?? []) piece.fill(0);
    assert.equal((await read(provider, 'a'))?.toString(), 'mine');
  });
}

function streamCases(test: Test, limits: ObjectStoreLimits): void {
  const largeBytes = limits.largeBytes ?? 3_145_728;

  test('takes a stream of unknown size', async ({ provider }) => {
    const put = await provider.put('large', patterned(largeBytes, 70_001), testCall());
    assert.equal(put.size, largeBytes);
    assert.ok((await read(provider, 'large'))?.equals(await bytesOf(patterned(largeBytes, 1_000_003))), 'every byte');
  });

  test('takes a stream of known size', async ({ provider }) => {
    await provider.put('sized', patterned(200_000, 9_999), { ...testCall(), size: 200_000 });
    assert.ok((await read(provider, 'sized'))?.equals(await bytesOf(patterned(200_000, 200_000))), 'every byte');
  });

  test('refuses a body of another size than announced, and keeps the old object', async ({ provider }) => {
    await provider.put('a', Buffer.from('old'), testCall());
    for (const size of [999, 1_001]) {
      for (const body of [patterned(1_000, 300), await bytesOf(patterned(1_000, 300))]) {
        await assert.rejects(provider.put('a', body, { ...testCall(), size }), isConflict);
      }
    }
    assert.equal((await read(provider, 'a'))?.toString(), 'old');
  });

  test('stores nothing of a stream that fails, and passes its failure on', async ({ provider }) => {
    await provider.put('a', Buffer.from('old'), testCall());
    const broken = new Error('the source broke');
    async function* failing(): AsyncGenerator<Uint8Array> {
      yield* patterned(100_000, 10_000);
      throw broken;
    }
    await assert.rejects(provider.put('a', failing(), testCall()), broken);
    await assert.rejects(provider.put('b', failing(), { ...testCall(), size: 200_000 }), broken);
    assert.equal((await read(provider, 'a'))?.toString(), 'old');
    assert.equal(await provider.head('b', testCall()), undefined);
  });

  test('shows a reader one version, whatever is put meanwhile', async ({ provider }) => {
    await provider.put('a', patterned(600_000, 50_000), testCall());
    const stored = await provider.get('a', testCall());
    assert.ok(stored !== undefined);
    const body = stored.body[Symbol.asyncIterator]();
    const first = await body.next();
    await provider.put('a', Buffer.alloc(600_000, 'z'), testCall());
    const parts = [first.value as Uint8Array];
    for (let next = await body.next(); next.done !== true; next = await body.next()) parts.push(next.value);
    assert.ok(Buffer.concat(parts).equals(await bytesOf(patterned(600_000, 50_000))), 'the version that was opened');
  });

  test('lets a reader leave in the middle', async ({ provider }) => {
    await provider.put('a', patterned(600_000, 50_000), testCall());
    for await (const part of (await provider.get('a', testCall()))?.body ?? []) {
      assert.ok(part.length > 0);
      break;
    }
    assert.equal((await read(provider, 'a'))?.length, 600_000);
  });
}

function conditionCases(test: Test): void {
  const unsupported = (error: unknown): boolean => MnopsError.is(error, 'MNOPS_CORE_UNSUPPORTED');

  test('creates only what is absent', async ({ provider }) => {
    const create = (text: string) => provider.put('a', Buffer.from(text), { ...testCall(), ifAbsent: true });
    if (provider.capabilities.conditionalPut === 'none') {
      await assert.rejects(create('x'), unsupported);
      return;
    }
    await create('first');
    await assert.rejects(create('second'), isConflict);
    assert.equal((await read(provider, 'a'))?.toString(), 'first');
    await provider.delete('a', testCall());
    await create('third');
    assert.equal((await read(provider, 'a'))?.toString(), 'third');
  });

  test('replaces only the version that is expected', async ({ provider }) => {
    const put = (text: string, ifMatch: string) => provider.put('a', Buffer.from(text), { ...testCall(), ifMatch });
    if (provider.capabilities.conditionalPut !== 'match') {
      await assert.rejects(put('x', 'etag'), unsupported);
      return;
    }
    const first = await provider.put('a', Buffer.from('first'), testCall());
    const second = await put('second', first.etag);
    await assert.rejects(put('third', first.etag), isConflict);
    await provider.put('a', Buffer.from('SECOND'), testCall());
    await assert.rejects(put('third', second.etag), isConflict);
    assert.equal((await read(provider, 'a'))?.toString(), 'SECOND');
    const current = await provider.head('a', testCall());
    await put('fourth', current?.etag ?? '');
    await provider.delete('a', testCall());
    const absent = await failure({}, () => put('fifth', first.etag));
    assert.ok(['MNOPS_CORE_CONFLICT', 'MNOPS_CORE_NOT_FOUND'].includes(absent.code), absent.code);
    assert.equal(await provider.head('a', testCall()), undefined);
  });

  test('has one winner among conditional puts at the same time', async ({ provider }) => {
    if (provider.capabilities.conditionalPut === 'none') return;
    const race = async (round: string, conditions: object): Promise<number> => {
      const puts = Array.from({ length: 6 }, (_, index) =>
        provider.put('race', Buffer.from(`${round} ${index}`), { ...testCall(), ...conditions }),
      );
      const results = await Promise.allSettled(puts);
      const won = results.findIndex((result) => result.status === 'fulfilled');
      assert.equal((await read(provider, 'race'))?.toString(), `${round} ${won}`);
      for (const result of results) if (result.status === 'rejected') assert.ok(isConflict(result.reason));
      return results.filter((result) => result.status === 'fulfilled').length;
    };
    assert.equal(await race('create', { ifAbsent: true }), 1);
    if (provider.capabilities.conditionalPut !== 'match') return;
    assert.equal(await race('match', { ifMatch: (await provider.head('race', testCall()))?.etag }), 1);
  });

  test('keeps a retention, or refuses it before any I/O', async ({ provider, faults }) => {
    const retainUntilMs = Math.ceil(Date.now() / 1_000) * 1_000 + 3_600_000;
    const put = provider.put('kept', Buffer.from('x'), { ...testCall(), retainUntilMs });
    if (!provider.capabilities.objectLock) {
      await assert.rejects(put, unsupported);
      assert.equal(faults?.requests.length ?? 0, 0);
      assert.equal(await provider.head('kept', testCall()), undefined);
      return;
    }
    await put;
    assert.equal((await provider.head('kept', testCall()))?.retainUntilMs, retainUntilMs);
    await provider.extendRetention?.('kept', retainUntilMs + 3_600_000, testCall());
    assert.equal((await provider.head('kept', testCall()))?.retainUntilMs, retainUntilMs + 3_600_000);
  });
}

function rangeCases(test: Test): void {
  test('reads ranges; beyond the end there is nothing', async ({ provider }) => {
    if (!provider.capabilities.ranges) return;
    await provider.put('a', Buffer.from('0123456789'), testCall());
    await provider.put('empty', new Uint8Array(0), testCall());
    const ranged = async (start: number, end?: number, name = 'a'): Promise<string | undefined> => {
      const stored = await provider.get(name, { ...testCall(), range: { start, end } });
      assert.equal(stored?.size, name === 'a' ? 10 : 0, 'size is that of the whole object');
      return stored && (await bytesOf(stored.body)).toString();
    };
    assert.equal(await ranged(0), '0123456789');
    assert.equal(await ranged(3), '3456789');
    assert.equal(await ranged(2, 5), '234');
    assert.equal(await ranged(9, 10), '9');
    assert.equal(await ranged(8, 1_000), '89');
    assert.equal(await ranged(10), '');
    assert.equal(await ranged(50, 60), '');
    assert.equal(await ranged(4, 4), '');
    assert.equal(await ranged(0, undefined, 'empty'), '');
    assert.equal(await provider.get('absent', { ...testCall(), range: { start: 1 } }), undefined);
  });
}

function listCases(test: Test): void {
  test('lists by prefix, in the order of UTF-8 bytes', async ({ provider }) => {
    const names = [
      'a',
      'a-b',
      'a.b',
      'a/b',
      'a/b/c',
      'a/é',
      'a0',
      'b',
      'ab',
      'z',
      'Z',
      'é',
      '\uffee',
      '\u{1f600}',
      '_',
      '~',
    ];
    for (const name of [...names].reverse()) await provider.put(name, Buffer.from(name), testCall());
    const sorted = [...names].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    for (const prefix of ['', 'a', 'a/', 'a/b', 'a/b/', 'b', 'nothing', 'é']) {
      const listed = (await all(provider.list(prefix, testCall()))).map((info) => info.name);
      assert.deepEqual(
        listed,
        sorted.filter((name) => name.startsWith(prefix)),
        `prefix ${JSON.stringify(prefix)}`,
      );
    }
  });

  test('lists more than one page', async ({ provider }) => {
    const names = Array.from({ length: 25 }, (_, index) => `page/${String(index).padStart(3, '0')}`);
    await Promise.all(names.map((name) => provider.put(name, Buffer.from('x'), testCall())));
    assert.deepEqual(
      (await all(provider.list('page/', testCall()))).map((info) => info.name),
      names,
    );
    for await (const info of provider.list('page/', testCall())) {
      assert.equal(info.name, 'page/000');
      break;
    }
  });
}

function nameCases(test: Test): void {
  test('keeps names apart that look alike', async ({ provider }) => {
    const names = [
      'a b',
      'a+b',
      'a%20b',
      'a%2fb',
      'a/b',
      'A',
      'a',
      'a?b=c&d',
      'a#b',
      "it's (1)!*",
      'ä',
      'a\u0308',
      '&amp;<x>',
    ];
    for (const name of names) await provider.put(name, Buffer.from(name), testCall());
    for (const name of names) assert.equal((await read(provider, name))?.toString(), name);
    const listed = (await all(provider.list('', testCall()))).map((info) => info.name);
    assert.deepEqual(new Set(listed), new Set(names));
    for (const name of names) await provider.delete(name, testCall());
    assert.deepEqual(await all(provider.list('', testCall())), []);
  });

  test('takes awkward names as plain names, or refuses them', async ({ provider, faults }) => {
    const names = [
      '..',
      '.',
      '../up',
      'a/../b',
      './a',
      '/abs',
      'a//b',
      'a/',
      '-',
      '\n',
      'nul\u0000',
      'x'.repeat(1_024),
    ];
    const { anyName } = provider.capabilities;
    const before = faults?.requests.length ?? 0;
    for (const name of names) {
      const problem = await provider.put(name, Buffer.from(name), testCall()).then(none, (error: unknown) => error);
      if (anyName) assert.equal(problem, undefined, JSON.stringify(name));
      if (problem === undefined) assert.equal((await read(provider, name))?.toString(), name, JSON.stringify(name));
      else assert.ok(MnopsError.is(problem, 'MNOPS_CORE_CONFIG_INVALID'), JSON.stringify(name));
    }
    for (const { url } of faults?.requests.slice(before) ?? []) assert.ok(!/\/\.\.?(\/|\?|$)/.test(url), url);
  });

  test('refuses what is not a name', async ({ provider }) => {
    for (const name of ['', 'x'.repeat(1_025), 'half \ud800']) {
      for (const use of [
        () => provider.put(name, Buffer.from('x'), testCall()),
        () => provider.get(name, testCall()),
        () => provider.head(name, testCall()),
        () => provider.delete(name, testCall()),
      ]) {
        assert.equal((await failure({}, use)).code, 'MNOPS_CORE_CONFIG_INVALID');
      }
    }
  });
}

function abortCases(test: Test): void {
  test('ends with the reason of an aborted call and changes nothing', async ({ provider }) => {
    await provider.put('a', Buffer.from('old'), testCall());
    const reason = new Error('aborted before');
    const call = testCall({ signal: AbortSignal.abort(reason) });
    for (const use of [
      () => provider.put('a', Buffer.from('new'), call),
      () => provider.get('a', call),
      () => provider.head('a', call),
      () => provider.delete('a', call),
      () => all(provider.list('', call)),
    ]) {
      await assert.rejects(use, reason);
    }
    assert.equal((await read(provider, 'a'))?.toString(), 'old');
  });

  test('ends a put and a read in the middle with the reason', async ({ provider }) => {
    await provider.put('a', patterned(600_000, 50_000), testCall());
    const reason = new Error('aborted meanwhile');
    const call = testCall();
    async function* slow(): AsyncGenerator<Uint8Array> {
      yield Buffer.from('x');
      call.abort(reason);
      yield Buffer.from('y');
    }
    await assert.rejects(provider.put('b', slow(), call), reason);
    assert.equal(await provider.head('b', testCall()), undefined);
    const reading = testCall();
    const stored = await provider.get('a', reading);
    reading.abort(reason);
    await assert.rejects(bytesOf(stored?.body ?? patterned(0, 1)), reason);
  });
}

function assertSame(actual: ObjectInfo | undefined, expected: ObjectInfo, limits: ObjectStoreLimits): void {
  assert.ok(actual !== undefined, 'the object is there');
  assert.equal(actual.name, expected.name);
  assert.equal(actual.size, expected.size);
  assert.equal(actual.etag, expected.etag, 'the etag is the same everywhere');
  const apart = Math.abs(actual.modifiedMs - expected.modifiedMs);
  assert.ok(apart <= (limits.timestampGranularityMs ?? 0), `modifiedMs differs by ${apart}`);
}

function isConflict(error: unknown): boolean {
  assert.ok(MnopsError.is(error, 'MNOPS_CORE_CONFLICT'), String(error));
  return true;
}

function none(): undefined {
  return undefined;
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}

async function bytesOf(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  return Buffer.concat(await all(body));
}

async function read(store: ObjectStore, name: string): Promise<Buffer | undefined> {
  const stored = await store.get(name, testCall());
  return stored && (await bytesOf(stored.body));
}

/** Bytes that depend on their position, in pieces of a size. */
async function* patterned(size: number, piece: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < size; at += piece) {
    const bytes = Buffer.alloc(Math.min(piece, size - at));
    for (let index = 0; index < bytes.length; index += 1) bytes[index] = ((at + index) * 2_654_435_761) >>> 24;
    yield bytes;
  }
}
