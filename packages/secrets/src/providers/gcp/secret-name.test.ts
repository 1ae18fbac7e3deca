import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { assertPath } from '../../path.js';
import { crc32c } from './crc32c.js';
import { idPrefixOf, pathOfId, secretIdOf } from './secret-name.js';

const paths = fc
  .array(
    fc.string({
      unit: fc.constantFrom('a', 'Z', '0', '_', '-', '.', '%', 'ä', '🔑', '2', 'f'),
      minLength: 1,
      maxLength: 6,
    }),
    {
      minLength: 1,
      maxLength: 4,
    },
  )
  .map((segments) => segments.join('/'))
  .filter((path) => {
    try {
      assertPath(path);
      return true;
    } catch {
      return false;
    }
  });

describe('names of secrets in Secret Manager', () => {
  it('are what Google allows, lead back, and keep two paths apart', () => {
    fc.assert(
      fc.property(paths, (path) => {
        const id = secretIdOf(path);
        expect(id).toMatch(/^[A-Za-z0-9_-]{1,255}$/);
        expect(pathOfId(id)).toBe(path);
      }),
      { numRuns: 2_000 },
    );
  });

  it('begin alike where paths do', () => {
    fc.assert(
      fc.property(paths, fc.nat(), (path, at) => {
        const prefix = path.slice(0, at % (path.length + 1));
        if (!/\p{Surrogate}/u.test(prefix)) expect(secretIdOf(path).startsWith(idPrefixOf(prefix))).toBe(true);
      }),
    );
  });

  it('lead back to one path or to none', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('a', 'F', '5', '_', '-'), minLength: 1, maxLength: 12 }), (id) => {
        const path = pathOfId(id);
        if (path !== undefined) expect(secretIdOf(path)).toBe(id);
      }),
      { numRuns: 2_000 },
    );
  });

  it('are readable for readable paths', () => {
    expect(['db/login', 'DB_PASSWORD', 'a-b', 'a.b', 'a_/b'].map(secretIdOf)).toEqual([
      'db__login',
      'DB_PASSWORD',
      'a-b',
      'a_-2eb',
      'a_-5f__b',
    ]);
    expect(() => secretIdOf('ä'.repeat(60))).toThrow(
      expect.objectContaining({ code: 'MNOPS_SECRETS_PATH_INVALID', message: expect.stringContaining('at most 255') }),
    );
  });
});

describe('crc32c', () => {
  it('gives the check value of the catalogue and of RFC 3720', () => {
    expect(crc32c(Buffer.from('123456789'))).toBe(0xe3069283);
    expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa);
    expect(crc32c(new Uint8Array(32).fill(0xff))).toBe(0x62a8ab43);
    expect(crc32c(new Uint8Array(0))).toBe(0);
  });
});
