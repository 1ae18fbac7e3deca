import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  compareNames,
  goMode,
  nameBytes,
  nameFromBytes,
  parseTime,
  quoteName,
  timeText,
  unixMode,
  unquoteName,
} from './go-format.js';

describe('names', () => {
  it('keeps every name, valid UTF-8 or not, through text and quoting', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        const name = nameFromBytes(Buffer.from(bytes));
        expect([...nameBytes(name)]).toEqual([...bytes]);
        expect(unquoteName(quoteName(name))).toBe(name);
      }),
      { numRuns: 500 },
    );
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (name) => {
        expect(unquoteName(quoteName(name))).toBe(name);
      }),
    );
  });

  it('quotes as Go does', () => {
    expect(quoteName('a"b\\c')).toBe('a\\"b\\\\c');
    expect(quoteName('tab\tend\u0001é')).toBe('tab\\tend\\x01é');
    expect(quoteName(nameFromBytes(Buffer.from([0x63, 0xe9])))).toBe('c\\xe9');
    expect(unquoteName('caf\\u00e9')).toBe('café');
    expect(unquoteName('\\U0001f600')).toBe('😀');
    expect(unquoteName('wrong\\')).toBeUndefined();
    expect(unquoteName('wrong\\q')).toBeUndefined();
  });

  it('orders by bytes, not by UTF-16 units', () => {
    expect(compareNames('\uff5e', '😀')).toBeLessThan(0);
    expect(compareNames('a', 'b')).toBeLessThan(0);
    expect(compareNames('a', 'a')).toBe(0);
  });
});

describe('modes and times', () => {
  it('turns Unix modes into those of Go and back', () => {
    expect(goMode('dir', 0o755)).toBe(2_147_484_141);
    expect(goMode('symlink', 0o777)).toBe(134_218_239);
    for (const mode of [0o644, 0o4755, 0o2755, 0o1777, 0o7000]) expect(unixMode(goMode('dir', mode))).toBe(mode);
  });

  it('keeps nanoseconds, also before 1970', () => {
    for (const time of [0n, 1n, 1_669_244_366_290_272_284n, -1n, -1_500_000_001n]) {
      const parsed = parseTime(timeText(time));
      expect(BigInt(parsed?.seconds ?? 0) * 1_000_000_000n + BigInt(parsed?.nanoseconds ?? 0)).toBe(time);
    }
    expect(parseTime('2026-01-01T01:00:00.5+01:00')).toEqual({ seconds: 1_767_225_600, nanoseconds: 500_000_000 });
    expect(parseTime('yesterday')).toBeUndefined();
  });
});
