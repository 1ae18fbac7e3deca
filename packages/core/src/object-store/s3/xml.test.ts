import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { childText, escapedXml, parseXml } from './xml.js';

describe('parseXml', () => {
  it('reads elements, text, comments, CDATA, attributes and entities', () => {
    const document = parseXml(
      `<?xml version="1.0"?>\n<!-- c > --><s3:Root xmlns="x>y" a='"'><A>1 &lt; 2 &amp; &#65;&#x42;</A><B/><C><![CDATA[<raw>&]]></C><A>again</A></s3:Root >\n`,
    );
    expect(document.name).toBe('Root');
    expect(childText(document, 'A')).toBe('1 < 2 & AB');
    expect(document.children.map((child) => child.name)).toEqual(['A', 'B', 'C', 'A']);
    expect(childText(document, 'C')).toBe('<raw>&');
    expect(childText(document, 'none')).toBeUndefined();
  });

  it.each([
    '',
    'text',
    '<a>',
    '<a></b>',
    '</a>',
    '<a></a><b></b>',
    '<a></a>text',
    '<a',
    '<a b="',
    '<1/>',
    '<a>&nbsp;</a>',
    '<a>&#0;</a>',
    '<a>&#x110000;</a>',
    '<a>& b</a>',
    '<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>',
    '<!-- open',
    '<![CDATA[open',
    '<?open',
    '<a>'.repeat(40) + '</a>'.repeat(40),
  ])('refuses %j', (text) => {
    expect(() => parseXml(text)).toThrow(expect.objectContaining({ code: 'MNOPS_CORE_RESPONSE_INVALID' }));
  });

  it('gives back any text that was escaped', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        expect(childText(parseXml(`<r><t>${escapedXml(text)}</t></r>`), 't')).toBe(text);
      }),
    );
  });

  it('ends in time on hostile input', () => {
    const started = performance.now();
    for (const text of [
      '<'.repeat(200_000),
      '&'.repeat(200_000),
      '<a '.repeat(100_000),
      `<a>${'&a'.repeat(100_000)}</a>`,
    ]) {
      expect(() => parseXml(text)).toThrow();
    }
    expect(performance.now() - started).toBeLessThan(5_000);
  });
});
