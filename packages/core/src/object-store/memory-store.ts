import { randomUUID } from 'node:crypto';
import * as v from 'valibot';
import { systemClock } from '../clock.js';
import { clockSchema, parseOptions } from '../config/index.js';
import { coreError } from '../errors/core-error.js';
import type { Clock } from '../spi/base.js';
import type { ObjectInfo, ObjectStore } from '../spi/object-store.js';
import { clampedRange, pieces } from './body.js';
import { assertConditions, assertObjectName, compareNames, conditionFailed } from './object-name.js';

/** Bounds of a store in memory. */
export interface MemoryStoreOptions {
  /** Bytes that all objects may have together; a put beyond them is `MNOPS_CORE_TOO_LARGE`. Default 256 MiB. */
  readonly maxBytes?: number | undefined;
  readonly clock?: Clock | undefined;
}

const optionsSchema = v.strictObject({
  maxBytes: v.optional(v.pipe(v.number(), v.minValue(1))),
  clock: v.optional(clockSchema),
});

/**
 * Objects in the memory of this process, for tests and for data that may be lost with it.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID`
 */
export function memoryStore(options: MemoryStoreOptions = {}): ObjectStore {
  const { maxBytes = 268_435_456, clock = systemClock() } = parseOptions('memoryStore', optionsSchema, options);
  const id = 'memory-store';
  const objects = new Map<string, { readonly info: ObjectInfo; readonly bytes: Buffer }>();
  let total = 0;
  const capabilities: ObjectStore['capabilities'] = {
    conditionalPut: 'match',
    objectLock: false,
    versions: false,
    ranges: true,
    serverTime: true,
    completeList: true,
    anyName: true,
    maxObjectBytes: maxBytes,
  };

  return {
    specVersion: 1,
    kind: 'object-store',
    id,
    capabilities,
    async get(name, call) {
      assertObjectName(name);
      call.signal.throwIfAborted();
      const stored = objects.get(name);
      if (stored === undefined) return undefined;
      const { start, end } = clampedRange(call.range, stored.info.size);
      // A copy: the caller may change what it reads.
      const body = pieces(Buffer.from(stored.bytes.subarray(start, end)), { id, signal: call.signal });
      return { ...stored.info, body };
    },
    async head(name, call) {
      assertObjectName(name);
      call.signal.throwIfAborted();
      const stored = objects.get(name);
      return stored === undefined ? undefined : { ...stored.info };
    },
    async put(name, body, call) {
      assertObjectName(name);
      assertConditions({ id, capabilities }, call);
      const chunks: Uint8Array[] = [];
      let size = 0;
      for await (const piece of pieces(body, { id, signal: call.signal, size: call.size })) {
        size += piece.length;
        if (total + size > maxBytes) throw full(maxBytes);
        chunks.push(Buffer.from(piece));
      }
      call.signal.throwIfAborted();
      const before = objects.get(name);
      if (call.ifAbsent === true && before !== undefined) throw conditionFailed(id, call);
      if (call.ifMatch !== undefined && before?.info.etag !== call.ifMatch) throw conditionFailed(id, call);
      const info: ObjectInfo = { name, size, etag: randomUUID(), modifiedMs: Math.trunc(clock.now()) };
      objects.set(name, { info, bytes: Buffer.concat(chunks) });
      total += size - (before?.info.size ?? 0);
      return { ...info };
    },
    async *list(prefix, call) {
      call.signal.throwIfAborted();
      const names = [...objects.keys()].filter((name) => name.startsWith(prefix)).sort(compareNames);
      for (const name of names) {
        call.signal.throwIfAborted();
        const stored = objects.get(name);
        if (stored !== undefined) yield { ...stored.info };
      }
    },
    async delete(name, call) {
      assertObjectName(name);
      call.signal.throwIfAborted();
      total -= objects.get(name)?.info.size ?? 0;
      objects.delete(name);
    },
  };
}

function full(maxBytes: number): Error {
  return coreError('MNOPS_CORE_TOO_LARGE', `The store in memory may hold maxBytes, ${maxBytes}, in all.`, {
    details: { maxBytes },
  });
}
