import { randomBytes } from 'node:crypto';
import { coreError } from '../errors/core-error.js';
import type { Call } from '../spi/base.js';
import type { KeyWrapper } from '../spi/key-wrapper.js';
import { type AssociatedData, encodeAssociated } from './associated.js';
import { type KeyRing, unwrapWith } from './key-ring.js';
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

const magic: Buffer = Buffer.from('MNENVLP1', 'latin1');
/** AES-256-GCM with HKDF-SHA-256 and key commitment. */
const suite = 1;
const commitmentBytes = 32;
const mostKeyIdBytes = 255;
const mostWrappedBytes = 65_535;
const noSalt = new Uint8Array(0);

interface Parts {
  readonly keyId: string;
  readonly wrapped: Uint8Array;
  readonly commitment: Uint8Array;
  /** Nonce, ciphertext and tag. */
  readonly body: Uint8Array;
}

/**
 * The plaintext in an envelope: sealed with a data key that is used once, which is itself wrapped by `wrapper`.
 *
 * The envelope commits to its data key, so no other key opens it to something else. The layout is in
 * `docs/formats/envelope.md`.
 *
 * @param associated - What the data is bound to; opening needs the same list.
 * @throws {MnopsError} What the wrapper throws.
 */
export async function sealEnvelope(
  wrapper: KeyWrapper,
  plaintext: Uint8Array,
  associated: AssociatedData,
  call: Call,
): Promise<Uint8Array> {
  const dataKey = randomBytes(keyBytes);
  try {
    const { key, commitment } = deriveKeys(dataKey);
    const nonce = randomBytes(nonceBytes);
    const body = Buffer.concat([nonce, gcmSeal(key, nonce, plaintext, bodyContext(commitment, associated))]);
    key.fill(0);
    return await assemble(wrapper, dataKey, commitment, body, call);
  } finally {
    dataKey.fill(0);
  }
}

/**
 * What was sealed, in memory of its own that the caller may overwrite.
 *
 * @throws {MnopsError} `MNOPS_CORE_KEY_INVALID` when the key is wrong or not among the given ones,
 * `MNOPS_CORE_INTEGRITY` when the associated data or any bit differs.
 */
export async function openEnvelope(
  keys: KeyRing | KeyWrapper,
  envelope: Uint8Array,
  associated: AssociatedData,
  call: Call,
): Promise<Uint8Array> {
  const { commitment, body, dataKey } = await unlock(keys, envelope, call);
  try {
    const { key } = deriveKeys(dataKey);
    const plaintext = gcmOpen(
      key,
      body.subarray(0, nonceBytes),
      body.subarray(nonceBytes),
      bodyContext(commitment, associated),
    );
    key.fill(0);
    return plaintext;
  } finally {
    dataKey.fill(0);
  }
}

/**
 * The envelope with its data key wrapped by `to`; the sealed bytes stay as they are and need not be known. The new
 * wrapping was unwrapped once more before it is returned, so the old one may be given up.
 */
export async function rewrapEnvelope(
  from: KeyRing | KeyWrapper,
  to: KeyWrapper,
  envelope: Uint8Array,
  call: Call,
): Promise<Uint8Array> {
  const { commitment, body, dataKey } = await unlock(from, envelope, call);
  try {
    const rewrapped = await assemble(to, dataKey, commitment, body, call);
    (await unlock(to, rewrapped, call)).dataKey.fill(0);
    return rewrapped;
  } finally {
    dataKey.fill(0);
  }
}

/** Id of the key that the envelope's data key is wrapped with. It is not authenticated before the envelope is opened. */
export function envelopeKeyId(envelope: Uint8Array): string {
  return parse(envelope).keyId;
}

async function unlock(
  keys: KeyRing | KeyWrapper,
  envelope: Uint8Array,
  call: Call,
): Promise<Parts & { readonly dataKey: Uint8Array }> {
  const parts = parse(envelope);
  const { keyId, wrapped, commitment } = parts;
  const dataKey = await unwrapWith(keys, keyId, wrapped, keyContext(keyId, commitment), call);
  if (dataKey.length === keyBytes && constantTimeEqual(deriveKeys(dataKey).commitment, commitment)) {
    return { ...parts, dataKey };
  }
  dataKey.fill(0);
  throw integrityError('its data key is not the one that it was sealed with');
}

function deriveKeys(dataKey: Uint8Array): { readonly key: Uint8Array; readonly commitment: Uint8Array } {
  return {
    key: hkdf(dataKey, noSalt, 'mnops-envelope-1 encryption', keyBytes),
    commitment: hkdf(dataKey, noSalt, 'mnops-envelope-1 commitment', commitmentBytes),
  };
}

function bodyContext(commitment: Uint8Array, associated: AssociatedData): Buffer {
  return encodeAssociated(['mnops-envelope', magic, suite, commitment, ...associated]);
}

function keyContext(keyId: string, commitment: Uint8Array): Buffer {
  return encodeAssociated(['mnops-envelope-key', magic, suite, keyId, commitment]);
}

async function assemble(
  wrapper: KeyWrapper,
  dataKey: Uint8Array,
  commitment: Uint8Array,
  body: Uint8Array,
  call: Call,
): Promise<Buffer> {
  const keyId = Buffer.from(wrapper.keyId, 'utf8');
  if (keyId.length < 1 || keyId.length > mostKeyIdBytes || keyId.toString('utf8') !== wrapper.keyId) {
    throw coreError('MNOPS_CORE_KEY_INVALID', `A key id must have 1 to ${mostKeyIdBytes} bytes of UTF-8.`);
  }
  const wrapped = await wrapper.wrap(dataKey, keyContext(wrapper.keyId, commitment), call);
  if (wrapped.length > mostWrappedBytes) {
    throw coreError('MNOPS_CORE_KEY_INVALID', `A wrapped key of ${wrapped.length} bytes is over ${mostWrappedBytes}.`);
  }
  const lengths = Buffer.alloc(4);
  lengths[0] = suite;
  lengths[1] = keyId.length;
  lengths.writeUInt16BE(wrapped.length, 2);
  return Buffer.concat([magic, lengths, keyId, wrapped, commitment, body]);
}

function parse(envelope: Uint8Array): Parts {
  const bytes = Buffer.from(envelope.buffer, envelope.byteOffset, envelope.byteLength);
  const lengthsAt = magic.length;
  const keyIdAt = lengthsAt + 4;
  if (bytes.length < keyIdAt || bytes.compare(magic, 0, lengthsAt, 0, lengthsAt) !== 0)
    throw integrityError('it is no envelope');
  if (bytes[lengthsAt] !== suite) throw integrityError('it has another format');
  const wrappedAt = keyIdAt + (bytes[lengthsAt + 1] as number);
  const commitmentAt = wrappedAt + bytes.readUInt16BE(lengthsAt + 2);
  const bodyAt = commitmentAt + commitmentBytes;
  if (wrappedAt === keyIdAt || bytes.length < bodyAt + nonceBytes + tagBytes) throw integrityError('it is too short');
  const id = bytes.subarray(keyIdAt, wrappedAt);
  const keyId = id.toString('utf8');
  if (!Buffer.from(keyId, 'utf8').equals(id)) throw integrityError('its key id is damaged');
  return {
    keyId,
    wrapped: bytes.subarray(wrappedAt, commitmentAt),
    commitment: bytes.subarray(commitmentAt, bodyAt),
    body: bytes.subarray(bodyAt),
  };
}
