import { systemClock } from '@mnops/core';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fieldEncoder } from './encode-json.js';
import { managedLogger } from './logger.js';
import { loggerCore } from './logger-core.js';
import { quote } from './quote.js';
import { compileRedaction, type RedactOptions } from './redact.js';

function encoder(redact?: RedactOptions, limits = { depth: 8, attributes: 256, characters: 262_144 }) {
  const counters = { redacted: 0, placeholders: 0 };
  const made = fieldEncoder(limits, compileRedaction(redact), counters);
  return {
    counters,
    made,
    decode: (value: object) => JSON.parse(`{${made.fields(value)}}`) as Record<string, unknown>,
  };
}

describe('quote', () => {
  it('is JSON.stringify for every text', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.string({ maxLength: 200 })), (text) => {
        expect(quote(text)).toBe(JSON.stringify(text));
      }),
    );
    for (let code = 0; code < 0x10000; code += 1) {
      const unit = String.fromCharCode(code);
      if (quote(unit) !== JSON.stringify(unit)) expect.fail(`unit ${code}`);
      if (code % 97 === 0) expect(quote(unit.repeat(60))).toBe(JSON.stringify(unit.repeat(60)));
    }
  });
});

describe('fields', () => {
  it('gives back every JSON object', () => {
    const { decode } = encoder();
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 4 })), (value) => {
        expect(decode(value)).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });

  it('never throws and never changes what it is given, whatever that is', () => {
    const { decode } = encoder();
    fc.assert(
      fc.property(
        fc.object({ withBigInt: true, withDate: true, withMap: true, withSet: true, withTypedArray: true }),
        (value) => {
          decode(Object.freeze(value));
        },
      ),
    );
  });

  it('has placeholders for what cannot be encoded', () => {
    const { decode, counters } = encoder();
    const circular: Record<string, unknown> = { name: 'a' };
    circular['self'] = circular;
    const revoked = Proxy.revocable({}, {});
    revoked.revoke();
    const hostile = {
      circular,
      big: 12n,
      nan: Number.NaN,
      symbol: Symbol('s'),
      call: function named() {},
      date: new Date(0),
      invalid: new Date(Number.NaN),
      map: new Map([['k', 1]]),
      set: new Set([1, 2]),
      buffer: Buffer.from('abc'),
      throwing: {
        toJSON() {
          throw new Error('no');
        },
      },
      get getter(): string {
        throw new Error('no');
      },
      revoked: revoked.proxy,
      forever: {
        toJSON() {
          return this;
        },
      },
    };
    expect(decode(hostile)).toEqual({
      circular: { name: 'a', self: '[Circular]' },
      big: '12',
      nan: 'NaN',
      symbol: 'Symbol(s)',
      call: '[Function named]',
      date: '1970-01-01T00:00:00.000Z',
      invalid: null,
      map: { k: 1 },
      set: [1, 2],
      buffer: '[Buffer 3 bytes]',
      throwing: '[Throws]',
      getter: '[Throws]',
      revoked: '[Throws]',
      forever: { toJSON: '[Function toJSON]' },
    });
    expect(counters.placeholders).toBeGreaterThanOrEqual(3);
    expect(
      decode(
        new Proxy(
          {},
          {
            ownKeys: () => {
              throw new Error('no');
            },
          },
        ),
      ),
    ).toEqual({ unreadable: '[Throws]' });
  });

  it('writes errors with their causes, own fields and members', () => {
    const { decode } = encoder();
    const error = new AggregateError([new TypeError('one')], 'all', { cause: new RangeError('root') });
    Object.assign(error, { code: 'E_ALL' });
    expect(decode({ error })).toMatchObject({
      error: {
        type: 'AggregateError',
        message: 'all',
        code: 'E_ALL',
        cause: { type: 'RangeError', message: 'root' },
        errors: [{ type: 'TypeError', message: 'one' }],
      },
    });
  });

  it('holds its limits and says so', () => {
    const { decode, made } = encoder(undefined, { depth: 2, attributes: 3, characters: 1000 });
    expect(decode({ a: { b: { c: { d: 1 } } } })).toEqual({ a: { b: { c: '[Object]' } } });
    expect(made.takeTruncated()).toBe(true);
    expect(made.takeTruncated()).toBe(false);
    expect(Object.keys(decode({ a: 1, b: 2, c: 3, d: 4 }))).toEqual(['a', 'b', 'c']);
    expect(String(decode({ text: 'x'.repeat(5000) })['text'])).toHaveLength(1000);
    const wide: unknown[] = [];
    for (let index = 0; index < 3; index += 1) wide.push(wide, wide);
    expect(JSON.stringify(decode({ wide })).length).toBeLessThan(2000);
  });

  it('reads a key __proto__ as any other', () => {
    const { made } = encoder();
    expect(made.fields(JSON.parse('{"__proto__":{"polluted":true}}'))).toBe('"__proto__":{"polluted":true}');
  });
});

describe('redaction', () => {
  it('removes paths with wildcards, in nested, listed and dotted keys', () => {
    const { decode, counters } = encoder({
      paths: ['user.card', 'headers.*', 'items[*].token', '**.password', '["a.b"]'],
    });
    expect(
      decode({
        user: { card: '4111', name: 'ada' },
        'user.card': '4111',
        headers: { cookie: 'x', host: 'y' },
        items: [{ token: 't', id: 1 }],
        deep: { er: [{ password: { hash: 'p' } }] },
        password: 'p',
        'a.b': 1,
      }),
    ).toEqual({
      user: { card: '[Redacted]', name: 'ada' },
      'user.card': '[Redacted]',
      headers: { cookie: '[Redacted]', host: '[Redacted]' },
      items: [{ token: '[Redacted]', id: 1 }],
      deep: { er: [{ password: '[Redacted]' }] },
      password: '[Redacted]',
      'a.b': '[Redacted]',
    });
    expect(counters.redacted).toBe(8);
  });

  it('removes patterns in values, numbers, messages and errors', () => {
    const { decode, made } = encoder({
      patterns: ['card', 'email', 'bearer', 'aws-key', /pin-\d+/],
      replaceWith: '***',
    });
    const text = JSON.stringify(
      decode({
        card: 4111111111111111,
        list: ['mail ada@example.com now', 'Bearer abc.def-ghi'],
        error: new Error('key AKIAABCDEFGHIJKLMNOP and pin-1234'),
      }),
    );
    expect(text).not.toMatch(/4111|ada@|abc\.def|AKIA|pin-/);
    expect(made.message('card 4111 1111 1111 1111 declined')).toBe('"card *** declined"');
  });

  it('removes a card number that comes as a BigInt', () => {
    const { decode } = encoder({ patterns: ['card'] });
    expect(decode({ card: 4111111111111111n, list: [4111111111111111n], small: 12n })).toEqual({
      card: '[Redacted]',
      list: ['[Redacted]'],
      small: '12',
    });
  });

  it('leaves no half secret where a long text is cut', () => {
    const limits = { depth: 8, attributes: 256, characters: 2000 };
    for (let shift = 0; shift < 40; shift += 1) {
      const { made } = encoder({ patterns: ['card'] }, limits);
      const text = `${'x'.repeat(shift)}${'4111111111111111 and '.repeat(20_000)}`;
      for (const encoded of [made.message(text), made.message(text, 500), made.fields({ text })]) {
        expect(encoded).not.toContain('4111');
        expect(encoded.length).toBeGreaterThan(20);
        expect(encoded.length).toBeLessThan(2100);
      }
      expect(made.takeTruncated()).toBe(true);
    }
  });

  it('looks only at the part of a long text that can be written', () => {
    let longest = 0;
    const clean = (text: string): string => {
      longest = Math.max(longest, text.length);
      return text;
    };
    const limits = { depth: 8, attributes: 256, characters: 2000 };
    const made = fieldEncoder(limits, { ...compileRedaction(), clean }, { redacted: 0, placeholders: 0 });
    expect(made.message('y'.repeat(5_000_000))).toBe(`"${'y'.repeat(2000)}"`);
    made.fields({ text: 'y'.repeat(5_000_000) });
    expect(longest).toBeLessThan(30_000);
  });

  it('never lets a named key through, wherever it stands', () => {
    const { made } = encoder({ paths: ['**.secret'] });
    const inner = fc.object({
      maxDepth: 3,
      key: fc.constantFrom('a', 'b', 'secret'),
      values: [fc.constant('canary'), fc.integer()],
    });
    fc.assert(
      fc.property(inner, (value) => {
        const text = made.fields({ value, secret: 'canary' });
        const seen = JSON.parse(`{${text}}`) as unknown;
        const check = (each: unknown): void => {
          if (typeof each !== 'object' || each === null) return;
          for (const [key, below] of Object.entries(each)) {
            if (key === 'secret') expect(below).toBe('[Redacted]');
            else check(below);
          }
        };
        check(seen);
      }),
    );
  });
});

describe('a line over the limit', () => {
  it('holds no half secret where its message is cut, and does not mark the next line', () => {
    for (let shift = 0; shift < 30; shift += 1) {
      const lines: string[] = [];
      const config = { redact: { patterns: ['card' as const] }, limits: { entryBytes: 1024 } };
      const core = loggerCore(config, { name: 's' }, systemClock(), (line) => lines.push(line));
      const message = `${'x'.repeat(shift)}${'4111111111111111 and '.repeat(4000)}`;
      const logger = managedLogger(core.shared, 'a', undefined);
      logger.info(message);
      logger.info('next');
      const at = { stream: 's', timeMs: 0, observedMs: 0, level: 'info', severityNumber: 9 } as const;
      lines.push(core.encode({ ...at, message, attributes: {}, resource: {} }));
      expect(lines.join('')).not.toContain('4111');
      expect(lines.map((line) => line.includes('truncated'))).toEqual([true, false, true]);
    }
  });
});
