import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { callOf } from '../call.js';
import type { KeyWrapper } from '../spi/key-wrapper.js';
import { type AssociatedData, encodeAssociated } from './associated.js';
import { canonicalJson } from './canonical-json.js';
import { envelopeKeyId, openEnvelope, rewrapEnvelope, sealEnvelope } from './envelope.js';
import { keyRing } from './key-ring.js';
import { constantTimeEqual } from './primitives.js';
import { rawKey } from './raw-key.js';
import { open, seal } from './seal.js';

const call = callOf();
const integrity = expect.objectContaining({ code: 'MNOPS_CORE_INTEGRITY' });
const bytes = fc.uint8Array({ maxLength: 300 });
const word = fc.string({ unit: 'grapheme', maxLength: 20 }).filter((text) => !/\p{Surrogate}/u.test(text));
const associated = fc.array(fc.oneof(word, bytes, fc.maxSafeInteger(), fc.bigInt()), { maxLength: 4 });

function flip(sealed: Uint8Array, bit: number): Uint8Array {
  const copy = Uint8Array.from(sealed);
  copy[bit >> 3] = (copy[bit >> 3] as number) ^ (1 << (bit & 7));
  return copy;
}

describe('encodeAssociated', () => {
  const plain = (parts: AssociatedData): string =>
    JSON.stringify(
      parts.map((part) =>
        typeof part === 'string' ? `s${part}` : part instanceof Uint8Array ? [...part] : `i${part}`,
      ),
    );

  it('gives different bytes for different lists', () => {
    fc.assert(
      fc.property(associated, associated, (one, other) => {
        expect(encodeAssociated(one).equals(encodeAssociated(other))).toBe(plain(one) === plain(other));
      }),
    );
    const same = [['ab', 'c'], ['a', 'bc'], ['abc'], [], [''], ['', ''], [1], ['1'], [Buffer.from('1')]];
    expect(new Set(same.map((list) => encodeAssociated(list as AssociatedData).toString('hex'))).size).toBe(
      same.length,
    );
    expect(encodeAssociated([1]).equals(encodeAssociated([1n]))).toBe(true);
  });

  it('refuses what could become the same bytes', () => {
    expect(() => encodeAssociated(['\ud800'])).toThrow(/Part 0/);
    expect(() => encodeAssociated(['a', 1.5])).toThrow(/Part 1/);
  });
});

describe('seal', () => {
  const key = randomBytes(32);

  it('opens with the same key and associated data only', () => {
    fc.assert(
      fc.property(bytes, associated, (plaintext, bound) => {
        const sealed = seal(key, plaintext, bound);
        expect(Buffer.from(open(key, sealed, bound)).equals(Buffer.from(plaintext))).toBe(true);
        expect(() => open(key, sealed, [...bound, ''])).toThrow(integrity);
        expect(() => open(randomBytes(32), sealed, bound)).toThrow(integrity);
      }),
    );
  });

  it('accepts no flipped bit and no cut', () => {
    const sealed = seal(key, Buffer.from('the plaintext'), ['a', 1]);
    for (let bit = 0; bit < sealed.length * 8; bit++)
      expect(() => open(key, flip(sealed, bit), ['a', 1])).toThrow(integrity);
    for (let length = 0; length < sealed.length; length++) {
      expect(() => open(key, sealed.subarray(0, length), ['a', 1])).toThrow(integrity);
    }
  });

  it('refuses keys that are not 32 bytes', () => {
    expect(() => seal(randomBytes(16), Buffer.from('x'), [])).toThrow(
      expect.objectContaining({ code: 'MNOPS_CORE_KEY_INVALID' }),
    );
  });
});

describe('envelope', () => {
  const wrapper = rawKey(randomBytes(32));
  const plaintext = Buffer.from('value of the secret');

  it('opens with the same associated data, and tells the key that it needs', async () => {
    const envelope = await sealEnvelope(wrapper, plaintext, ['store', 'path', 1], call);
    expect(envelopeKeyId(envelope)).toBe(wrapper.keyId);
    expect(Buffer.from(await openEnvelope(wrapper, envelope, ['store', 'path', 1], call)).equals(plaintext)).toBe(true);
    await expect(openEnvelope(wrapper, envelope, ['store', 'path', 2], call)).rejects.toEqual(integrity);
    await expect(openEnvelope(wrapper, envelope, ['storepath', 1], call)).rejects.toEqual(integrity);
  });

  it('accepts no flipped bit, no cut and no added byte', async () => {
    const envelope = await sealEnvelope(wrapper, plaintext, ['a'], call);
    let accepted = 0;
    const tryOne = async (changed: Uint8Array): Promise<void> => {
      await openEnvelope(wrapper, changed, ['a'], call).then(
        () => {
          accepted += 1;
        },
        (error: unknown) => expect(error).toMatchObject({ code: expect.stringMatching(/INTEGRITY|KEY_INVALID/) }),
      );
    };
    for (let bit = 0; bit < envelope.length * 8; bit++) await tryOne(flip(envelope, bit));
    for (let length = 0; length < envelope.length; length++) await tryOne(envelope.subarray(0, length));
    await tryOne(Buffer.concat([envelope, Buffer.of(0)]));
    expect(accepted).toBe(0);
  });

  it('refuses the wrapped key of another envelope, and another key under the same id', async () => {
    const one = await sealEnvelope(wrapper, plaintext, ['a'], call);
    const two = await sealEnvelope(wrapper, plaintext, ['a'], call);
    const start = 12 + wrapper.keyId.length;
    const length = Buffer.from(one).readUInt16BE(10);
    const mixed = Buffer.from(one);
    mixed.set(two.subarray(start, start + length), start);
    await expect(openEnvelope(wrapper, mixed, ['a'], call)).rejects.toEqual(integrity);
    const impostor = rawKey(randomBytes(32), { keyId: wrapper.keyId });
    await expect(openEnvelope(impostor, one, ['a'], call)).rejects.toMatchObject({ code: 'MNOPS_CORE_KEY_INVALID' });
  });

  it('commits to its data key: a wrapper that gives another one is found', async () => {
    const envelope = await sealEnvelope(wrapper, plaintext, ['a'], call);
    const lying: KeyWrapper = { ...wrapper, unwrap: async () => randomBytes(32) };
    await expect(openEnvelope(lying, envelope, ['a'], call)).rejects.toEqual(integrity);
  });

  it('follows a key ring, and is rewrapped without touching the sealed bytes', async () => {
    const next = rawKey(randomBytes(32), { keyId: 'next' });
    const envelope = await sealEnvelope(wrapper, plaintext, ['a'], call);
    const ring = keyRing(next, [rawKey(randomBytes(32), { keyId: wrapper.keyId }), wrapper]);
    expect(Buffer.from(await openEnvelope(ring, envelope, ['a'], call)).equals(plaintext)).toBe(true);
    await expect(openEnvelope(next, envelope, ['a'], call)).rejects.toMatchObject({
      code: 'MNOPS_CORE_KEY_INVALID',
      details: { keyId: wrapper.keyId, given: ['next'] },
    });
    const rewrapped = await rewrapEnvelope(ring, next, envelope, call);
    expect(envelopeKeyId(rewrapped)).toBe('next');
    expect(Buffer.from(await openEnvelope(next, rewrapped, ['a'], call)).equals(plaintext)).toBe(true);
    const tail = plaintext.length + 12 + 16;
    expect(Buffer.from(rewrapped.subarray(-tail)).equals(Buffer.from(envelope.subarray(-tail)))).toBe(true);
  });

  it('refuses to rewrap with a key that cannot unwrap', async () => {
    const envelope = await sealEnvelope(wrapper, plaintext, ['a'], call);
    const broken: KeyWrapper = { ...rawKey(randomBytes(32)), wrap: async () => Buffer.alloc(60) };
    await expect(rewrapEnvelope(wrapper, broken, envelope, call)).rejects.toEqual(integrity);
  });
});

describe('canonicalJson', () => {
  it('is the same text for the same value, whatever the order of its keys', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = canonicalJson(value);
        expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
        expect(canonicalJson(reversed(JSON.parse(text)))).toBe(text);
      }),
    );
    expect(canonicalJson({ b: [1, -0, 1e21], a: { z: undefined, é: 'ü', '\u20ac': null } })).toBe(
      '{"a":{"é":"ü","€":null},"b":[1,0,1e+21]}',
    );
  });

  it('refuses what JSON cannot carry, by place', () => {
    const cycle: Record<string, unknown> = {};
    cycle['self'] = cycle;
    expect(() => canonicalJson({ a: [Number.NaN] })).toThrow('.a[0] must be a finite number');
    expect(() => canonicalJson({ at: new Date() })).toThrow('.at must be a plain object');
    expect(() => canonicalJson(cycle)).toThrow(/at most 64 levels/);
    expect(() => canonicalJson({ a: 1n })).toThrow(/JSON value/);
    expect(() => canonicalJson([undefined])).toThrow(/JSON value/);
  });
});

function reversed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reversed);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([key, part]) => [key, reversed(part)]),
  );
}

it('constantTimeEqual compares contents and lengths', () => {
  expect(constantTimeEqual(Buffer.from('a'), Buffer.from('a'))).toBe(true);
  expect(constantTimeEqual(Buffer.from('a'), Buffer.from('b'))).toBe(false);
  expect(constantTimeEqual(Buffer.from('a'), Buffer.from('ab'))).toBe(false);
});
