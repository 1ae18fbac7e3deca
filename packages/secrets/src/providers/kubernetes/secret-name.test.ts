import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nameOfPath, versionName } from './secret-name.js';

const dnsName = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
// Few characters, so that near misses are frequent.
const paths = fc
  .array(fc.constantFrom('a', 'e', '0', '2', 'd', '-', '.', '/', 'E', 'ü', '_', 'v1'), { minLength: 1, maxLength: 14 })
  .map((parts) => parts.join(''))
  .filter((path) => path.split('/').every((segment) => segment !== ''));

/** The path that a name stands for, or `undefined` when it stands for none, or for one that is too long to tell. */
function pathOfName(name: string): string | undefined {
  const bytes: Buffer[] = [];
  const text = name.startsWith('e---') && !name.startsWith('e----') ? name.slice(1) : name;
  for (let at = 0; at < text.length; ) {
    const dashes = /^-*/.exec(text.slice(at))?.[0].length ?? 0;
    if (dashes === 3 || dashes === 5) {
      if (dashes === 5) bytes.push(Buffer.from('/'));
      const hex = text.slice(at + dashes, at + dashes + 2);
      if (!/^[0-9a-f]{2}$/.test(hex)) return undefined;
      bytes.push(Buffer.from(hex, 'hex'));
      at += dashes + 2;
    } else if (dashes <= 2) {
      bytes.push(Buffer.from(['', '-', '/'][dashes] || text.slice(at, at + 1)));
      at += Math.max(1, dashes);
    } else return undefined;
  }
  const path = Buffer.concat(bytes).toString('utf8');
  return nameOfPath(path) === name ? path : undefined;
}

describe('names of Secrets', () => {
  it('are readable, and themselves where a path is a name already', () => {
    expect(nameOfPath('db/orders')).toBe('db--orders');
    expect(nameOfPath('db-login')).toBe('db-login');
    expect(nameOfPath('tls.example.org')).toBe('tls.example.org');
    expect(nameOfPath('Api/key_1')).toBe('e---41pi--key---5f1');
    expect(versionName('db/orders', 3)).toBe('db--orders----v3');
  });

  it('are valid and lead back to their path', () => {
    fc.assert(
      fc.property(paths, (path) => {
        const name = nameOfPath(path);
        expect(name).toMatch(dnsName);
        expect(pathOfName(name)).toBe(path);
      }),
      { numRuns: 5_000 },
    );
  });

  it('never meet: neither two paths, nor a path and the version of another', () => {
    fc.assert(
      fc.property(paths, paths, fc.integer({ min: 1, max: 12 }), (a, b, version) => {
        if (a !== b) expect(nameOfPath(a)).not.toBe(nameOfPath(b));
        expect(versionName(a, version)).not.toBe(nameOfPath(b));
      }),
      { numRuns: 5_000 },
    );
  });

  it('keep long paths apart by a hash, within the limit of the server', () => {
    const long = (end: string): string => `${'Ä/'.repeat(120)}${end}`;
    const names = [nameOfPath(long('a')), nameOfPath(long('b')), nameOfPath('a'.repeat(512))];
    expect(new Set(names).size).toBe(3);
    for (const name of names) {
      expect(name).toMatch(dnsName);
      expect(`${name}----v999999999999999`.length).toBeLessThanOrEqual(253);
      expect(pathOfName(name)).toBeUndefined();
    }
  });
});
