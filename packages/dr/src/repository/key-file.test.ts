import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { envelope } from './envelope.js';
import { newMasterKey, openKeyFile, sealKeyFile } from './key-file.js';

const cost = { N: 16, r: 1, p: 1 };

describe('key files', () => {
  it('give the key to the passphrase only, and never hold either in clear', async () => {
    const key = newMasterKey();
    const bytes = await sealKeyFile(key, 'passphrase', new Date(0), cost);
    expect(await openKeyFile(bytes, 'passphrase')).toEqual(key);
    expect(await openKeyFile(bytes, 'other')).toBe('wrong');
    const text = bytes.toString('utf8');
    for (const part of [key.encrypt, key.macK, key.macR])
      expect(text).not.toContain(Buffer.from(part).toString('base64'));
    expect(text).not.toContain('passphrase');
  });

  it('are told from damage, and cannot ask for all memory', async () => {
    const bytes = await sealKeyFile(newMasterKey(), 'p', new Date(0), cost);
    expect(await openKeyFile(bytes.subarray(0, 100), 'p')).toBe('damaged');
    const content = JSON.parse(bytes.toString('utf8')) as Record<string, unknown>;
    for (const change of [{ N: 2 ** 40 }, { N: 15 }, { kdf: 'none' }, { salt: 1 }, { p: 0 }, { p: 1e9 }]) {
      expect(await openKeyFile(Buffer.from(JSON.stringify({ ...content, ...change })), 'p')).toBe('damaged');
    }
  });
});

describe('envelope', () => {
  it('opens what it sealed, and nothing that was changed, cut or lengthened', () => {
    const { seal, open } = envelope(newMasterKey());
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(), (plain, where) => {
        const sealed = Buffer.concat(seal(plain));
        expect(sealed.length).toBe(plain.length + 32);
        expect(open(sealed)?.equals(plain)).toBe(true);
        const changed = Buffer.from(sealed);
        const at = where % sealed.length;
        changed[at] = (changed[at] ?? 0) ^ (1 << (where % 8));
        expect(open(changed)).toBeUndefined();
        expect(open(sealed.subarray(0, at))).toBeUndefined();
        expect(open(Buffer.concat([sealed, Buffer.of(0)]))).toBeUndefined();
      }),
      { numRuns: 300 },
    );
    expect(envelope(newMasterKey()).open(Buffer.concat(seal(Buffer.from('x'))))).toBeUndefined();
  });
});
