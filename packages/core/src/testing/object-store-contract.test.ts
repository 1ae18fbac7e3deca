import { describe, expect, it } from 'vitest';
import { MnopsError, UnsupportedError } from '../errors/mnops-error.js';
import { memoryStore } from '../object-store/memory-store.js';
import type { ObjectInfo, ObjectStore } from '../spi/object-store.js';
import { failingCases } from './failing-cases.js';
import { objectStoreContract } from './object-store-contract.js';
import { testCall } from './test-call.js';

async function whole(body: Uint8Array | AsyncIterable<Uint8Array>): Promise<Buffer> {
  if (body instanceof Uint8Array) return Buffer.from(body);
  const parts: Uint8Array[] = [];
  for await (const part of body) parts.push(part);
  return Buffer.concat(parts);
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

async function* mapped(items: AsyncIterable<ObjectInfo>, change: (all: ObjectInfo[]) => ObjectInfo[]) {
  const all: ObjectInfo[] = [];
  for await (const item of items) all.push(item);
  yield* change(all);
}

/** A store in memory with methods replaced. */
function broken(change: (good: ObjectStore) => Partial<ObjectStore>): ObjectStore {
  const good = memoryStore();
  return { ...good, ...change(good) };
}

objectStoreContract({ describe, it }, 'a store without conditions, ranges and odd names', async () => {
  const provider = broken((good) => ({
    capabilities: { ...good.capabilities, conditionalPut: 'none', ranges: false, anyName: false },
    put: async (name, body, call) => {
      if (call.ifAbsent === true || call.ifMatch !== undefined) throw new UnsupportedError('No conditions.');
      if (!/^[\w ./+%?=&#'()!*\u{80}-\u{1ffff};<>~-]+$/u.test(name) || /(^|\/)\.{0,2}(\/|$)/.test(name)) {
        throw new MnopsError('MNOPS_CORE_CONFIG_INVALID', 'Not such a name.');
      }
      return await good.put(name, body, call);
    },
  }));
  return { provider };
});

describe('objectStoreContract catches a store that', () => {
  const absent = 'absent is not an error';
  const back = 'gives back what was put, with the same facts everywhere';
  const replaces = 'replaces an object whole, with another etag';
  const owns = 'keeps its bytes when the caller changes theirs';
  const unknownSize = 'takes a stream of unknown size';
  const wrongSize = 'refuses a body of another size than announced, and keeps the old object';
  const oneVersion = 'shows a reader one version, whatever is put meanwhile';
  const creates = 'creates only what is absent';
  const expected = 'replaces only the version that is expected';
  const winner = 'has one winner among conditional puts at the same time';
  const retention = 'keeps a retention, or refuses it before any I/O';
  const ranges = 'reads ranges; beyond the end there is nothing';
  const order = 'lists by prefix, in the order of UTF-8 bytes';
  const pages = 'lists more than one page';
  const apart = 'keeps names apart that look alike';
  const awkward = 'takes awkward names as plain names, or refuses them';
  const notName = 'refuses what is not a name';
  const aborted = 'ends with the reason of an aborted call and changes nothing';
  const middle = 'ends a put and a read in the middle with the reason';

  const cases: [string, (good: ObjectStore) => Partial<ObjectStore>, readonly string[]][] = [
    [
      'rejects where nothing is',
      (good) => ({
        head: async (name, call) => {
          const info = await good.head(name, call);
          if (info === undefined && name === 'absent') throw new MnopsError('MNOPS_CORE_NOT_FOUND', 'absent');
          return info;
        },
      }),
      [absent],
    ],
    [
      'answers another etag in lists',
      (good) => ({
        list: (prefix, call) => mapped(good.list(prefix, call), (all) => all.map((info) => ({ ...info, etag: 'x' }))),
      }),
      [back],
    ],
    [
      'names an etag by its name',
      (good) => ({
        put: async (name, body, call) => ({ ...(await good.put(name, body, call)), etag: name }),
        head: async (name, call) => {
          const info = await good.head(name, call);
          return info && { ...info, etag: name };
        },
        get: async (name, call) => {
          const stored = await good.get(name, call);
          return stored && { ...stored, etag: name };
        },
        list: (prefix, call) =>
          mapped(good.list(prefix, call), (all) => all.map((info) => ({ ...info, etag: info.name }))),
      }),
      [replaces, expected, winner],
    ],
    [
      'hands out its own bytes',
      (good) => {
        const kept = new Map<string, Buffer>();
        return {
          put: async (name, body, call) => {
            const info = await good.put(name, body, call);
            const stored = await good.get(name, testCall());
            kept.set(name, await whole(stored?.body ?? once(Buffer.alloc(0))));
            return info;
          },
          get: async (name, call) => {
            const stored = await good.get(name, call);
            const bytes = kept.get(name);
            if (stored === undefined || bytes === undefined || call.range !== undefined || bytes.length > 100)
              return stored;
            return { ...stored, body: once(bytes) };
          },
        };
      },
      [owns],
    ],
    [
      'takes only the first piece of a stream',
      (good) => ({
        put: async (name, body, call) => {
          if (body instanceof Uint8Array || call.size !== undefined) return await good.put(name, body, call);
          const first = await body[Symbol.asyncIterator]().next();
          return await good.put(name, first.done === true ? Buffer.alloc(0) : first.value, call);
        },
      }),
      [
        unknownSize,
        'stores nothing of a stream that fails, and passes its failure on',
        oneVersion,
        'lets a reader leave in the middle',
        middle,
      ],
    ],
    [
      'does not count',
      (good) => ({ put: (name, body, call) => good.put(name, body, { ...call, size: undefined }) }),
      [wrongSize],
    ],
    [
      'mixes versions',
      (good) => ({
        get: async (name, call) => {
          const stored = await good.get(name, call);
          if (stored === undefined || stored.size < 600_000 || call.range !== undefined) return stored;
          const body = async function* (): AsyncGenerator<Uint8Array> {
            for (let start = 0; start < stored.size; start += 100_000) {
              call.signal.throwIfAborted();
              const part = await good.get(name, { ...testCall(), range: { start, end: start + 100_000 } });
              if (part !== undefined) yield await whole(part.body);
            }
          };
          return { ...stored, body: body() };
        },
      }),
      [oneVersion],
    ],
    [
      'creates over what is there',
      (good) => ({ put: (name, body, call) => good.put(name, body, { ...call, ifAbsent: false }) }),
      [creates, winner],
    ],
    [
      'replaces anything',
      (good) => ({ put: (name, body, call) => good.put(name, body, { ...call, ifMatch: undefined }) }),
      [expected, winner],
    ],
    [
      'looks before it leaps',
      (good) => ({
        put: async (name, body, call) => {
          const before = await good.head(name, call);
          const bytes = await whole(body);
          await new Promise((resolve) => setTimeout(resolve, 5));
          if (call.ifAbsent === true && before !== undefined) throw new MnopsError('MNOPS_CORE_CONFLICT', 'there');
          return await good.put(name, bytes, { ...call, ifAbsent: false });
        },
      }),
      [winner],
    ],
    [
      'promises a retention that it does not keep',
      (good) => ({ put: (name, body, call) => good.put(name, body, { ...call, retainUntilMs: undefined }) }),
      [retention],
    ],
    [
      'includes the end of a range',
      (good) => ({
        get: (name, call) => {
          const { range } = call;
          const end = range?.end;
          if (range === undefined || end === undefined) return good.get(name, call);
          return good.get(name, { ...call, range: { ...range, end: end + 1 } });
        },
      }),
      [ranges],
    ],
    [
      'tells the size of a part',
      (good) => ({
        get: async (name, call) => {
          const stored = await good.get(name, call);
          return stored && call.range?.end !== undefined
            ? { ...stored, size: call.range.end - call.range.start }
            : stored;
        },
      }),
      [ranges],
    ],
    [
      'sorts as JavaScript does',
      (good) => ({
        list: (prefix, call) =>
          mapped(good.list(prefix, call), (all) => all.sort((a, b) => (a.name < b.name ? -1 : 1))),
      }),
      [order],
    ],
    ['ignores the prefix', (good) => ({ list: (_, call) => good.list('', call) }), [order]],
    [
      'stops after a page',
      (good) => ({ list: (prefix, call) => mapped(good.list(prefix, call), (all) => all.slice(0, 20)) }),
      [pages],
    ],
    [
      'takes an encoded name for a plain one',
      (good) => ({
        put: (name, body, call) => good.put(name.replaceAll('%20', ' '), body, call),
        get: (name, call) => good.get(name.replaceAll('%20', ' '), call),
      }),
      [apart],
    ],
    [
      'resolves dot segments',
      (good) => ({
        put: (name, body, call) => good.put(name.replace('a/../', ''), body, call),
      }),
      [awkward],
    ],
    ['takes an empty name', (good) => ({ head: (name, call) => good.head(name || 'x', call) }), [notName]],
    ['does not notice an abort', (good) => ({ delete: (name) => good.delete(name, testCall()) }), [aborted]],
    [
      'reads on after an abort',
      (good) => ({
        get: async (name, call) => {
          call.signal.throwIfAborted();
          return await good.get(name, { ...testCall(), range: call.range });
        },
      }),
      [middle],
    ],
  ];
  it.each(cases)('%s', async (_, change, names) => {
    const failing = await failingCases((runner) =>
      objectStoreContract(runner, 'broken', async () => ({ provider: broken(change) })),
    );
    expect(failing).toEqual(names);
  });
});
