import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { resourceUrl } from './resource-url.js';

describe('resourceUrl', () => {
  it('keeps the path of the base, with and without a slash at its end', () => {
    expect(resourceUrl('http://h/api', 'v3', 'x').href).toBe('http://h/api/v3/x');
    expect(resourceUrl('http://h/api//', 'v3').href).toBe('http://h/api/v3');
    expect(resourceUrl(new URL('http://h?tenant=a#part'), 'v3').href).toBe('http://h/v3?tenant=a');
    expect(resourceUrl('http://h/api/').href).toBe('http://h/api/');
  });

  it('encodes what would end or split a segment', () => {
    expect(resourceUrl('http://h', 'a/b?c#d%2e', "é'()*!").pathname).toBe('/a%2Fb%3Fc%23d%252e/%C3%A9%27%28%29%2A%21');
  });

  it.each(['', '.', '..', '\ud800'])('refuses the segment %j', (segment) => {
    expect(() => resourceUrl('http://h', 'a', segment)).toThrow(
      expect.objectContaining({ code: 'MNOPS_CORE_CONFIG_INVALID' }),
    );
  });

  it('refuses a base that is not an HTTP address, without quoting it', () => {
    for (const base of ['host:80', 'file:///etc', 'nonsense s3cret']) {
      expect(() => resourceUrl(base, 'a')).toThrow(/base must be an absolute http/);
    }
  });

  it('gives each list of names an address of its own, below the base', () => {
    const name = fc.string({ unit: 'binary', minLength: 1 }).filter((text) => text !== '.' && text !== '..');
    fc.assert(
      fc.property(fc.array(name, { minLength: 1 }), (segments) => {
        const { pathname } = resourceUrl('http://h/base', ...segments);
        expect(pathname.startsWith('/base/')).toBe(true);
        expect(pathname.slice('/base/'.length).split('/').map(decodeURIComponent)).toEqual(segments);
      }),
    );
  });
});
