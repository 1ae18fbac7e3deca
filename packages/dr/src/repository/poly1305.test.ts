import { createCipheriv, createHash, randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { poly1305 } from './poly1305.js';

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');

/** The definition, by arbitrary-precision numbers. */
function plain(key: Buffer, message: Buffer): Buffer {
  const number = (bytes: Uint8Array): bigint => BigInt(`0x${Buffer.from(bytes).reverse().toString('hex') || '0'}`);
  const r = number(key.subarray(0, 16)) & 0x0ffffffc0ffffffc0ffffffc0fffffffn;
  let sum = 0n;
  for (let start = 0; start < message.length; start += 16) {
    sum = ((sum + number(Buffer.concat([message.subarray(start, start + 16), Buffer.of(1)]))) * r) % (2n ** 130n - 5n);
  }
  const tag = (sum + number(key.subarray(16, 32))) % 2n ** 128n;
  return hex(tag.toString(16).padStart(32, '0')).reverse();
}

describe('poly1305', () => {
  it('gives the tag of RFC 8439, section 2.5.2', () => {
    const key = hex('85d6be7857556d337f4452fe42d506a8 0103808afb0db2fd4abff6af4149f51b');
    const message = Buffer.from('Cryptographic Forum Research Group');
    expect(poly1305().tag(key, message).toString('hex')).toBe('a8061dc1305136c6c22b8baf0c0127a9');
  });

  it('gives the tags of RFC 8439, appendix A.3, numbers 7 to 11: values around the modulus', () => {
    const { tag } = poly1305();
    const cases = [
      ['02', '00', 'ff'.repeat(16), '03'],
      ['02', 'ff'.repeat(16), `02${'00'.repeat(15)}`, '03'],
      ['01', '00', `${'ff'.repeat(16)}f0${'ff'.repeat(15)}11${'00'.repeat(15)}`, '05'],
      ['01', '00', `${'ff'.repeat(16)}fb${'fe'.repeat(15)}${'01'.repeat(16)}`, '00'],
      ['02', '00', `fd${'ff'.repeat(15)}`, `fa${'ff'.repeat(15)}`],
    ];
    for (const [r = '', s = '', message = '', expected = ''] of cases) {
      const key = hex(r.padEnd(32, '0') + s.padEnd(32, '0'));
      expect(tag(key, hex(message)).toString('hex')).toBe(expected.padEnd(32, '0'));
    }
  });

  it('agrees with the definition for every length and for long messages', () => {
    const { tag } = poly1305();
    for (const length of [...Array(70).keys(), 131_071, 131_072, 131_089, 400_003]) {
      const key = randomBytes(32);
      const message = length % 3 === 0 ? Buffer.alloc(length, 255) : randomBytes(length);
      expect(tag(key, message).equals(plain(key, message))).toBe(true);
    }
  });

  it('agrees with ChaCha20-Poly1305 of OpenSSL', () => {
    const key = randomBytes(32);
    const nonce = randomBytes(12);
    const first = createCipheriv('chacha20', key, Buffer.concat([Buffer.alloc(4), nonce]));
    const oneTimeKey = first.update(Buffer.alloc(32));
    const cipher = createCipheriv('chacha20-poly1305', key, nonce, { authTagLength: 16 });
    const body = cipher.update(createHash('sha512').update('x').digest());
    cipher.final();
    const lengths = Buffer.alloc(16);
    lengths.writeUInt32LE(body.length, 8);
    const padded = Buffer.concat([body, Buffer.alloc((16 - (body.length % 16)) % 16), lengths]);
    expect(poly1305().tag(oneTimeKey, padded).equals(cipher.getAuthTag())).toBe(true);
  });
});
