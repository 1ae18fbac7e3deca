import { randomBytes } from 'node:crypto';
import { coreError } from '../errors/core-error.js';
import { type AssociatedData, encodeAssociated } from './associated.js';
import {
  constantTimeEqual,
  gcmOpen,
  gcmSeal,
  hkdf,
  integrityError,
  keyBytes,
  nonceBytes,
  tagBytes,
} from './primitives.js';

/** Takes a stream of bytes and gives another. */
export type StreamTransform = (source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>) => AsyncIterable<Uint8Array>;

const magic: Buffer = Buffer.from('MNSTRM01', 'latin1');
const saltBytes = 32;
const commitmentBytes = 32;
const prefixBytes = 7;
const headBytes: number = magic.length + saltBytes + commitmentBytes;
const chunkBytes = 65_536;
const mostChunks = 2 ** 32;
const nothing = new Uint8Array(0);

/**
 * Seals a stream of any length in chunks of 64 KiB, each bound to its place and the last one marked, so that a cut, a
 * swap or a repetition is found (the STREAM construction of Hoang, Reyhanitabar, Rogaway and Vizár, 2015). The key of
 * each stream is derived from a random salt, and the stream commits to it. The layout is in `docs/formats/envelope.md`.
 *
 * @param key - 32 random bytes; it may seal any number of streams.
 */
export function sealStream(key: Uint8Array, associated: AssociatedData): StreamTransform {
  checkKey(key);
  const bound = encodeAssociated(['mnops-stream', magic, ...associated]);
  return async function* sealing(source) {
    const salt = randomBytes(saltBytes);
    const derived = deriveStream(key, salt, bound);
    yield Buffer.concat([magic, salt, derived.commitment]);
    let counter = 0;
    for await (const { chunk, last } of chunks(source, chunkBytes)) {
      yield gcmSeal(derived.key, nonceOf(derived.prefix, counter, last), chunk, nothing);
      counter += 1;
    }
  };
}

/**
 * Opens what `sealStream` made, however the bytes are split.
 *
 * Each piece is authentic in its place when it comes out; only the end of the iteration says that the stream is whole.
 *
 * @throws {MnopsError} While it is read: `MNOPS_CORE_INTEGRITY` when the key, the associated data or any bit differs, or
 * when the stream was cut or extended.
 */
export function openStream(key: Uint8Array, associated: AssociatedData): StreamTransform {
  checkKey(key);
  const bound = encodeAssociated(['mnops-stream', magic, ...associated]);
  return async function* opening(source) {
    const reader = byteReader(source);
    try {
      const head = await reader.take(headBytes);
      if (head.length < headBytes || !head.subarray(0, magic.length).equals(magic))
        throw integrityError('it is no sealed stream');
      const salt = head.subarray(magic.length, magic.length + saltBytes);
      const derived = deriveStream(key, salt, bound);
      if (!constantTimeEqual(derived.commitment, head.subarray(magic.length + saltBytes))) {
        throw integrityError('it was sealed with another key or for another place');
      }
      let counter = 0;
      for await (const { chunk, last } of chunks(reader.rest(), chunkBytes + tagBytes)) {
        const plaintext = gcmOpen(derived.key, nonceOf(derived.prefix, counter, last), chunk, nothing);
        if (plaintext.length > 0) yield plaintext;
        counter += 1;
      }
    } finally {
      await reader.cancel();
    }
  };
}

function deriveStream(
  key: Uint8Array,
  salt: Uint8Array,
  bound: Uint8Array,
): { readonly key: Uint8Array; readonly commitment: Uint8Array; readonly prefix: Uint8Array } {
  // HKDF takes little context, so the binding goes into the salt.
  const place = hkdf(bound, salt, 'mnops-stream-1 place', 32);
  const all = hkdf(key, place, 'mnops-stream-1 keys', keyBytes + commitmentBytes + prefixBytes);
  return {
    key: all.subarray(0, keyBytes),
    commitment: all.subarray(keyBytes, keyBytes + commitmentBytes),
    prefix: all.subarray(keyBytes + commitmentBytes),
  };
}

/** Prefix (7 bytes), number of the chunk (4, big-endian), 1 for the last chunk. */
function nonceOf(prefix: Uint8Array, counter: number, last: boolean): Buffer {
  if (counter >= mostChunks) throw coreError('MNOPS_CORE_TOO_LARGE', 'A sealed stream holds at most 256 TiB.');
  const nonce = Buffer.alloc(nonceBytes);
  nonce.set(prefix, 0);
  nonce.writeUInt32BE(counter, prefixBytes);
  nonce[nonceBytes - 1] = last ? 1 : 0;
  return nonce;
}

function checkKey(key: Uint8Array): void {
  if (key.length === keyBytes) return;
  throw coreError('MNOPS_CORE_KEY_INVALID', `A key must have ${keyBytes} bytes, not ${key.length}.`);
}

/** Pieces of an exact size; the last one, and only that, may be shorter, and is empty only when it is the first too. */
async function* chunks(
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  size: number,
): AsyncGenerator<{ readonly chunk: Buffer; readonly last: boolean }, void> {
  const reader = byteReader(source);
  try {
    let chunk = await reader.take(size);
    for (;;) {
      const next = chunk.length < size ? Buffer.alloc(0) : await reader.take(size);
      yield { chunk, last: next.length === 0 };
      if (next.length === 0) return;
      chunk = next;
    }
  } finally {
    await reader.cancel();
  }
}

interface ByteReader {
  /** So many bytes, or fewer at the end. */
  take(count: number): Promise<Buffer>;
  /** What was not taken yet. */
  rest(): AsyncIterable<Uint8Array>;
  /** Lets the source release what it holds. */
  cancel(): Promise<void>;
}

function byteReader(source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): ByteReader {
  const iterator = Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]();
  let held: Uint8Array[] = [];
  let heldBytes = 0;

  async function take(count: number): Promise<Buffer> {
    while (heldBytes < count) {
      const { done, value } = await iterator.next();
      if (done === true) break;
      held.push(value);
      heldBytes += value.length;
    }
    const all = Buffer.concat(held, heldBytes);
    const taken = all.subarray(0, Math.min(count, heldBytes));
    held = [all.subarray(taken.length)];
    heldBytes -= taken.length;
    return taken;
  }

  async function* rest(): AsyncGenerator<Uint8Array, void> {
    yield* held;
    for (;;) {
      const { done, value } = await iterator.next();
      if (done === true) return;
      yield value;
    }
  }

  async function cancel(): Promise<void> {
    await iterator.return?.();
  }

  return { take, rest, cancel };
}
