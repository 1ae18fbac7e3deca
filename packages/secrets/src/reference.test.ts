import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareSpecificity, patternCovers } from './access/match.js';
import { accessPolicy } from './access/policy.js';
import { assertPath } from './path.js';
import { formatReference, parseReference } from './reference.js';

const path = fc
  .array(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 8 }), { minLength: 1, maxLength: 4 })
  .map((segments) => segments.join('/').normalize('NFC'))
  .filter((text) => {
    try {
      assertPath(text);
      return true;
    } catch {
      return false;
    }
  });
const name = fc.string({ minLength: 1, maxLength: 8 });

describe('references', () => {
  it('parse back to what they were made from', () => {
    fc.assert(
      fc.property(
        path,
        fc.option(name, { nil: undefined }),
        fc.option(name, { nil: undefined }),
        (where, version, key) => {
          const staged = version !== undefined && ['current', 'previous', 'pending'].includes(version);
          const reference = {
            path: where,
            ...(version === undefined ? {} : staged ? { stage: version } : { version }),
            ...(key === undefined ? {} : { key }),
          };
          expect(parseReference(formatReference(reference))).toEqual(reference);
        },
      ),
    );
  });

  it('never throw anything but the documented errors', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        try {
          parseReference(`secret://${text}`);
        } catch (error) {
          expect((error as { code: string }).code).toMatch(/^MNOPS_SECRETS_(REFERENCE|PATH)_INVALID$/);
        }
      }),
    );
  });
});

describe('patterns', () => {
  it('cover as Vault reads them', () => {
    const cases: [string, string, boolean][] = [
      ['db/app', 'db/app', true],
      ['db/app', 'db/app/x', false],
      ['db/*', 'db/app/x', true],
      ['db/*', 'db', false],
      ['db*', 'dbx/y', true],
      ['db/+/login', 'db/app/login', true],
      ['db/+/login', 'db/a/b/login', false],
      ['+/login', 'login', false],
      ['*', 'anything/at/all', true],
      ['db/+', 'db/', true],
    ];
    for (const [pattern, target, expected] of cases)
      expect(patternCovers(pattern, target), `${pattern} ${target}`).toBe(expected);
  });

  it('are ordered by how specific they are, totally', () => {
    const ordered = ['*', '+/*', '+/x', 'db/*', 'db/+/*', 'db/+/login', 'db/a*', 'db/app/*', 'db/app'];
    const pattern = fc.constantFrom(...ordered);
    fc.assert(
      fc.property(pattern, pattern, pattern, (a, b, c) => {
        expect(Math.sign(compareSpecificity(a, b)) || 0).toBe(-Math.sign(compareSpecificity(b, a)) || 0);
        if (compareSpecificity(a, b) > 0 && compareSpecificity(b, c) > 0)
          expect(compareSpecificity(a, c)).toBeGreaterThan(0);
      }),
    );
    expect(compareSpecificity('db/app', 'db/*')).toBeGreaterThan(0);
    expect(compareSpecificity('db/+/login', 'db/*')).toBeGreaterThan(0);
  });

  it('refuse a pattern in a Unicode form that no path has, and a path that is no text', () => {
    const decomposed = 'cafe\u0301/*';
    const roles = { a: [{ path: decomposed, deny: ['read' as const] }] };
    expect(() => accessPolicy({ roles, actors: { x: ['a'] } })).toThrow(/NFC/);
    const policy = accessPolicy({ roles: { a: [{ path: '*', allow: ['*'] }] }, actors: { x: ['a'] } });
    expect(() => policy.explain('x', 'read', 5 as never)).toThrow(
      expect.objectContaining({ code: 'MNOPS_SECRETS_PATH_INVALID' }),
    );
  });

  it('let a deny win among rules with the same pattern, and the most specific pattern decide', () => {
    const policy = accessPolicy({
      roles: {
        a: [{ path: 'db/*', allow: ['*'] }],
        b: [
          { path: 'db/*', deny: ['delete'] },
          { path: 'db/public/*', allow: ['read'] },
        ],
      },
      actors: { both: ['a', 'b'] },
    });
    expect(policy.explain('both', 'read', 'db/x').allowed).toBe(true);
    expect(policy.explain('both', 'delete', 'db/x').allowed).toBe(false);
    expect(policy.explain('both', 'update', 'db/public/x').allowed).toBe(false);
    expect(policy.explain('both', 'read', 'db/public/x').allowed).toBe(true);
  });
});
