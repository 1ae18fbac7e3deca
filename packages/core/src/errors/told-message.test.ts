import { describe, expect, it } from 'vitest';
import { toldMessage } from './told-message.js';

describe('toldMessage', () => {
  it('is the message, in one line, with the code where it does not say it', () => {
    expect(toldMessage(new TypeError('x is\n  no function'))).toBe('x is no function');
    expect(toldMessage(Object.assign(new Error('refused'), { code: 'ECONNREFUSED' }))).toBe('refused (ECONNREFUSED)');
    expect(toldMessage(Object.assign(new Error('Away.'), { code: 'X' }))).toBe('Away (X)');
    expect(toldMessage('a text')).toBe('a text');
    expect(toldMessage(new RangeError(''))).toBe('RangeError');
    expect([toldMessage(undefined), toldMessage(null), toldMessage(3)]).toEqual(['undefined', 'object', 'number']);
  });

  it.each([
    'GET https://user:c4nary@host/path failed',
    'GET https://host/hook?sig=c4nary&x=1 failed',
    'GET https://host/hook?c4nary',
    'header Authorization: Bearer c4narytoken',
    'Authorization: Basic c4naryc4nary',
    'password=c4nary; host=x',
    '{"apiKey":"c4nary"}',
    "x-api-key: 'c4nary'",
    'client_secret = c4nary',
    'ApiKey c4naryc4nary',
    'connect https://user:pa@c4nary@host/ failed',
    'Authorization: Token c4nary99',
    'authorization=Splunk c4nary refused',
    'Proxy-Authorization: Digest username="u", response="c4nary"',
    'Cookie: a=b; session=c4nary',
    'set-cookie: a=b; c4nary=1',
    '{"headers":{"authorization":["Token c4nary"]}}',
    '{ authorization: [ "Token c4nary" ] }',
    '{"body":"{\\"authorization\\":\\"Token c4nary\\"}"}',
    '{"body":"{\\"password\\":\\"c4nary\\"}"}',
    'password: "a\\"c4nary"',
    'password: "a long c4nary that was cut',
    'x-honeycomb-team: c4nary',
  ])('quotes no credential: %s', (text) => {
    expect(toldMessage(new Error(text))).not.toMatch(/c4nary/);
  });

  it('leaves what is no credential', () => {
    const text = 'connect ECONNREFUSED 127.0.0.1:4318 of https://host:8443/v1/traces in 30 ms: 3 of 5 tokens';
    expect(toldMessage(new Error(text))).toBe(text);
    expect(toldMessage(new Error('Authorization: Token c4nary\nHost: x\n'))).toBe('Authorization: [removed] Host: x');
    expect(toldMessage(new Error('{"authorization":"Token c4nary","host":"x"}'))).toBe(
      '{"authorization":[removed],"host":"x"}',
    );
  });

  it('is bounded, and takes what cannot be read', () => {
    expect(toldMessage(new Error('x'.repeat(1_000_000)))).toHaveLength(500);
    expect(toldMessage(Object.assign(new Error('x'.repeat(600)), { code: 'C'.repeat(99) }))).toHaveLength(500);
    expect(toldMessage({ name: 'x'.repeat(600) })).toHaveLength(500);
    const hostile = new Proxy(
      {},
      {
        get: () => {
          throw new Error('c4nary');
        },
      },
    );
    expect(toldMessage(hostile)).toBe('an error that cannot be read');
  });
});
