import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { namePrefixOf, pathOfName, secretNameOf } from './secret-name.js';

const piece = fc.constantFrom('a', 'f', '0', '=', '/', '!', 'G', '-', ' ', 'ü', '🔑', '%', '.', '=3d', '=20');
const path = fc.array(piece, { minLength: 1, maxLength: 12 }).map((pieces) => pieces.join(''));

describe('names of secrets', () => {
  it('are the path where that is a name already', () => {
    for (const same of ['db/login', 'rds!db-1', 'a_b+c=.@x', 'DB_PASSWORD', 'key=zz'])
      expect(secretNameOf(same)).toBe(same);
    expect([secretNameOf('a b'), secretNameOf('ü'), secretNameOf('a=ff')]).toEqual(['a=20b', '=c3=bc', 'a=3dff']);
  });

  it('give each path back, and are never those of another', () => {
    fc.assert(
      fc.property(path, path, (one, other) => {
        expect(secretNameOf(one)).toMatch(/^[A-Za-z0-9\-/_+=.@!]+$/);
        expect(pathOfName(secretNameOf(one))).toBe(one);
        if (one !== other) expect(secretNameOf(one)).not.toBe(secretNameOf(other));
      }),
    );
  });

  it('begin as the prefix of their path says', () => {
    fc.assert(
      fc.property(path, path, (prefix, rest) => {
        expect(secretNameOf(prefix + rest).startsWith(namePrefixOf(prefix))).toBe(true);
      }),
    );
  });

  it('that no path has are told apart', () => {
    for (const name of ['a=41', '=ff', 'a b', '']) expect(pathOfName(name)).toBeUndefined();
    expect(() => secretNameOf('ü'.repeat(100))).toThrow(
      expect.objectContaining({ code: 'MNOPS_SECRETS_PATH_INVALID' }),
    );
  });
});
