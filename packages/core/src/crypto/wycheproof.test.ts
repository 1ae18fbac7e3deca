import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { dataSuite } from '@mnops/tooling/parts';
import { describe, expect, it } from 'vitest';
import { gcmOpen, gcmSeal, hkdf, hmac, keyBytes, nonceBytes, pbkdf2, tagBytes } from './primitives.js';

interface Case {
  readonly tcId: number;
  readonly result: 'valid' | 'invalid' | 'acceptable';
  readonly [field: string]: unknown;
}
interface Group {
  readonly tests: readonly Case[];
  readonly [field: string]: unknown;
}

function hex(test: Case, field: string): Buffer {
  return Buffer.from(test[field] as string, 'hex');
}

dataSuite({ describe, it }, 'wycheproof', 'Wycheproof', (folder) => {
  function groups(file: string): readonly Group[] {
    return (JSON.parse(readFileSync(join(folder, file), 'utf8')) as { testGroups: Group[] }).testGroups;
  }

  it('AES-GCM: opens and seals what is valid for 256-bit keys, 96-bit nonces and 128-bit tags, refuses the rest', () => {
    let checked = 0;
    let refused = 0;
    for (const group of groups('aes_gcm_test.json')) {
      for (const test of group.tests) {
        const [key, iv, aad, message] = [hex(test, 'key'), hex(test, 'iv'), hex(test, 'aad'), hex(test, 'msg')];
        const sealed = Buffer.concat([hex(test, 'ct'), hex(test, 'tag')]);
        const supported = key.length === keyBytes && iv.length === nonceBytes && group['tagSize'] === tagBytes * 8;
        if (supported && test.result === 'valid') {
          expect(gcmOpen(key, iv, sealed, aad).equals(message), `case ${test.tcId}`).toBe(true);
          expect(gcmSeal(key, iv, message, aad).equals(sealed), `case ${test.tcId}`).toBe(true);
          checked += 1;
        } else {
          expect(() => gcmOpen(key, iv, sealed, aad), `case ${test.tcId}`).toThrow(
            expect.objectContaining({ code: expect.stringMatching(/^MNOPS_CORE_(INTEGRITY|KEY_INVALID)$/) }),
          );
          refused += 1;
        }
      }
    }
    expect({ checked, all: checked + refused }).toEqual({ checked: 39, all: 316 });
  });

  it.each([
    ['pbkdf2_hmacsha256_test.json', 'sha256', 60],
    ['pbkdf2_hmacsha512_test.json', 'sha512', 58],
  ] as const)('%s', async (file, hash, count) => {
    let checked = 0;
    for (const test of groups(file).flatMap((group) => group.tests)) {
      const derived = await pbkdf2({
        password: hex(test, 'password'),
        salt: hex(test, 'salt'),
        iterations: test['iterationCount'] as number,
        length: test['dkLen'] as number,
        hash,
      });
      expect(Buffer.from(derived).equals(hex(test, 'dk')), `case ${test.tcId}`).toBe(test.result !== 'invalid');
      checked += 1;
    }
    expect(checked).toBe(count);
  });

  it('HKDF-SHA-256', () => {
    const tests = groups('hkdf_sha256_test.json').flatMap((group) => group.tests);
    expect(tests).toHaveLength(86);
    for (const test of tests) {
      const run = (): Uint8Array =>
        hkdf(hex(test, 'ikm'), hex(test, 'salt'), hex(test, 'info'), test['size'] as number);
      if (test.result === 'invalid') expect(run, `case ${test.tcId}`).toThrow(/8160/);
      else expect(Buffer.from(run()).equals(hex(test, 'okm')), `case ${test.tcId}`).toBe(true);
    }
  });

  it('HMAC-SHA-256, whole and cut tags', () => {
    let checked = 0;
    for (const group of groups('hmac_sha256_test.json')) {
      for (const test of group.tests) {
        const mac = hmac(hex(test, 'key'), hex(test, 'msg')).subarray(0, (group['tagSize'] as number) / 8);
        expect(mac.equals(hex(test, 'tag')), `case ${test.tcId}`).toBe(test.result === 'valid');
        checked += 1;
      }
    }
    expect(checked).toBe(174);
  });
});
