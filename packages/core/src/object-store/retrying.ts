import { coreError } from '../errors/core-error.js';
import { MnopsError } from '../errors/mnops-error.js';
import { type RetryOptions, retry } from '../resilience/index.js';
import type { Call } from '../spi/base.js';
import type { ObjectStore, StoredObject } from '../spi/object-store.js';
import { compareNames } from './object-name.js';

/** How calls of a store are repeated; signal and deadline are those of each call. */
export type RetryingOptions = Omit<RetryOptions, 'signal' | 'remainingMs'>;

/**
 * The same store, with calls repeated that failed for a moment.
 *
 * A body that breaks off goes on where it was, as long as the object is the same. A list goes on after the last name. A
 * put is repeated only when its body is in memory: a stream can be read once. When a repeated conditional put meets a
 * conflict, `details.ambiguous` is true: the attempt before may have been the one that stored the object.
 */
export function retrying(store: ObjectStore, options: RetryingOptions = {}): ObjectStore {
  const again = <T>(call: Call, run: (attempt: number) => Promise<T>): Promise<T> =>
    retry(run, { ...options, signal: call.signal, remainingMs: call.remainingMs });
  const { open, close, extendRetention } = store;

  return {
    specVersion: 1,
    kind: 'object-store',
    id: store.id,
    capabilities: store.capabilities,
    ...(open === undefined ? {} : { open: (call: Call) => open.call(store, call) }),
    ...(close === undefined ? {} : { close: (call: Call) => close.call(store, call) }),
    ...(extendRetention === undefined
      ? {}
      : {
          extendRetention: (name: string, untilMs: number, call: Call) =>
            again(call, () => extendRetention.call(store, name, untilMs, call)),
        }),
    async get(name, call) {
      const stored = await again(call, () => store.get(name, call));
      if (stored === undefined || !store.capabilities.ranges) return stored;
      return { ...stored, body: resumed(store, stored, call, again) };
    },
    head: (name, call) => again(call, () => store.head(name, call)),
    delete: (name, call) => again(call, () => store.delete(name, call)),
    put: (name, body, call) => {
      if (!(body instanceof Uint8Array)) return store.put(name, body, call);
      return again(call, async (attempt) => {
        try {
          return await store.put(name, body, call);
        } catch (error) {
          if (attempt > 1 && MnopsError.is(error, 'MNOPS_CORE_CONFLICT') && !error.retryable) throw ambiguous(error);
          throw error;
        }
      });
    },
    async *list(prefix, call) {
      let last: string | undefined;
      let source: AsyncIterator<Awaited<ReturnType<ObjectStore['put']>>> | undefined;
      try {
        for (;;) {
          const next = await again(call, async () => {
            source ??= store.list(prefix, call)[Symbol.asyncIterator]();
            try {
              for (;;) {
                const item = await source.next();
                if (item.done === true || last === undefined || compareNames(item.value.name, last) > 0) return item;
              }
            } catch (error) {
              source = undefined; // it has ended; the next attempt begins anew and skips what was seen
              throw error;
            }
          });
          if (next.done === true) return;
          last = next.value.name;
          yield next.value;
        }
      } finally {
        await source?.return?.();
      }
    },
  };
}

type Again = <T>(call: Call, run: (attempt: number) => Promise<T>) => Promise<T>;

async function* resumed(
  store: ObjectStore,
  first: StoredObject,
  call: Parameters<ObjectStore['get']>[1],
  again: Again,
): AsyncGenerator<Uint8Array> {
  const { start = 0, end } = call.range ?? {};
  let at = start;
  let source: AsyncIterator<Uint8Array> | undefined = first.body[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await again(call, async () => {
        source ??= (await reopened(store, first, { ...call, range: { start: at, end } }))[Symbol.asyncIterator]();
        try {
          return await source.next();
        } catch (error) {
          source = undefined;
          throw error;
        }
      });
      if (next.done === true) return;
      at += next.value.length;
      yield next.value;
    }
  } finally {
    await source?.return?.();
  }
}

async function reopened(
  store: ObjectStore,
  first: StoredObject,
  call: Parameters<ObjectStore['get']>[1],
): Promise<AsyncIterable<Uint8Array>> {
  const stored = await store.get(first.name, call);
  if (stored?.etag === first.etag) return stored.body;
  await stored?.body[Symbol.asyncIterator]().return?.();
  throw coreError('MNOPS_CORE_CONFLICT', `${store.id}: the object changed while it was being read.`, {
    provider: store.id,
    operation: 'get',
  });
}

function ambiguous(error: MnopsError): MnopsError {
  const { provider, operation, message } = error;
  return coreError('MNOPS_CORE_CONFLICT', `${message} An attempt before, whose answer was lost, may have stored it.`, {
    provider,
    operation,
    details: { ...error.details, ambiguous: true },
    cause: error,
  });
}
