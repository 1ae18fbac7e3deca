import { inspect } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { safeJsonParse } from './json.js';

describe('safeJsonParse', () => {
  it('reads what JSON.parse reads, where the keys are harmless', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 6 }), (text) => {
        if (/__proto__|constructor/.test(text)) return;
        expect(safeJsonParse(text)).toEqual(JSON.parse(text));
      }),
    );
  });

  it('refuses keys that could change a prototype, in any spelling and depth', () => {
    for (const text of [
      '{"__proto__":{"a":1}}',
      '[{"x":{"__proto__":null}}]',
      '{"\\u005f_proto__":1}',
      '{"constructor":{"prototype":{"a":1}}}',
    ]) {
      expect(() => safeJsonParse(text)).toThrow(/prototype/);
    }
    expect(safeJsonParse('{"constructor":"builder","a":{"constructor":null}}')).toEqual({
      constructor: 'builder',
      a: { constructor: null },
    });
  });

  it('bounds nesting, however deep the text is', () => {
    expect(safeJsonParse('[[1]]', { maxDepth: 2 })).toEqual([[1]]);
    expect(() => safeJsonParse('[[[1]]]', { maxDepth: 2 })).toThrow(/deeper than 2/);
    expect(() => safeJsonParse('{"a":{"a":{}}}', { maxDepth: 2 })).toThrow(/deeper than 2/);
    expect(() => safeJsonParse(`${'['.repeat(200_000)}${']'.repeat(200_000)}`)).toThrow(/deeper than 64/);
  });

  it('never quotes the text', () => {
    for (const text of ['s3cret', '{"password":"s3cret",}', '']) {
      try {
        safeJsonParse(text);
        expect.unreachable();
      } catch (error) {
        expect(error).toMatchObject({ code: 'MNOPS_CORE_RESPONSE_INVALID' });
        expect(inspect(error)).not.toContain('s3cret');
      }
    }
  });
});
