import { parseEnv } from 'node:util';
import { MnopsError } from '@mnops/core';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { memory } from '../providers/memory/index.js';
import { SecretsManager } from '../secrets-manager.js';
import { dotenvLine, parseDotenv } from './dotenv.js';

const wellFormed = fc.string({ unit: 'grapheme', maxLength: 60 });

function valuesOf(text: string): Record<string, unknown> {
  const { values, problems } = parseDotenv(text);
  expect(problems).toEqual([]);
  return Object.fromEntries(values);
}

describe('dotenv', () => {
  it('reads what people write', () => {
    const text = [
      '\uFEFF# a comment',
      'PLAIN=one',
      '  export SPACED =  two words # comment ',
      'HASH=a#b',
      'EMPTY=',
      "SINGLE='lit\\n $X #1'  # after",
      'DOUBLE="a\\nb \\"c\\" \\$d \\x"',
      'BACK=`it\'s "fine"`',
      'PEM="-----BEGIN',
      'line two',
      '-----END"',
      'URL=postgres://u:p@h:5432/d?a=b',
      '',
      'LAST=end',
    ].join('\r\n');
    expect(valuesOf(text)).toEqual({
      PLAIN: 'one',
      SPACED: 'two words',
      HASH: 'a#b',
      EMPTY: '',
      SINGLE: 'lit\\n $X #1',
      DOUBLE: 'a\nb "c" $d \\x',
      BACK: 'it\'s "fine"',
      PEM: '-----BEGIN\nline two\n-----END',
      URL: 'postgres://u:p@h:5432/d?a=b',
      LAST: 'end',
    });
  });

  it('says in which lines it is wrong, and quotes none', () => {
    const { problems } = parseDotenv('A=1\nnot a line hunter2\nB="x" hunter2\nA=2\n1X=hunter2\nC=\'hunter2\n');
    expect(problems.map(({ line }) => line)).toEqual([2, 3, 4, 5, 6]);
    expect(JSON.stringify(problems)).not.toContain('hunter2');
  });

  it('reads back whatever it wrote, as the runtime does for values that need no double quotes', () => {
    fc.assert(
      fc.property(wellFormed, (value) => {
        const line = dotenvLine('NAME', value);
        expect(valuesOf(`${line}OTHER=x\n`)).toEqual({ NAME: value, OTHER: 'x' });
        if (!line.startsWith('NAME="')) expect(parseEnv(line)['NAME']).toBe(value);
      }),
    );
  });

  it('never throws, and counts lines, whatever it is given', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom('A', '=', '"', "'", '`', '\\', '\n', '\r', '#', ' ', 'é') }),
        (text) => {
          for (const { line } of parseDotenv(text).problems) {
            expect(line).toBeGreaterThan(0);
            expect(line).toBeLessThanOrEqual(text.split('\n').length);
          }
        },
      ),
    );
  });
});

describe('import and export', () => {
  let secrets: SecretsManager;

  beforeEach(() => {
    secrets = new SecretsManager({ provider: memory() });
  });

  afterEach(() => secrets.stop());

  it('stores what is new, and says what is not', async () => {
    await secrets.put('shop/SAME', 'same');
    await secrets.put('shop/OTHER', 'old');
    const text = 'SAME=same\nOTHER=new\nFRESH=yes\n';
    const expected = { created: ['shop/FRESH'], updated: ['shop/OTHER'], unchanged: ['shop/SAME'], failed: new Map() };
    expect(await secrets.importFrom(text, { format: 'dotenv', prefix: 'shop/', dryRun: true })).toEqual(expected);
    expect(await secrets.get('shop/FRESH')).toBeUndefined();
    expect(await secrets.importFrom(text, { format: 'dotenv', prefix: 'shop' })).toEqual(expected);
    expect((await secrets.getOrThrow('shop/OTHER')).reveal()).toBe('new');
    expect((await secrets.describe('shop/SAME'))?.version).toBe('1');
  });

  it('keeps every byte over JSON and YAML', async () => {
    const value = fc.oneof(
      wellFormed,
      fc.uint8Array({ maxLength: 40 }),
      fc.dictionary(fc.string({ maxLength: 5 }), fc.jsonValue({ maxDepth: 2 }), { maxKeys: 4 }),
      fc.constantFrom('{"a": 1}\n', '9007199254740993', 'yes', 'null', '1e3', '{"$base64":"AA=="}', "it's: #1"),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(value, { minLength: 1, maxLength: 4 }),
        fc.constantFrom('json', 'yaml'),
        async (values, format) => {
          const from = new SecretsManager({ provider: memory(), audit: false });
          const to = new SecretsManager({ provider: memory(), audit: false });
          for (const [index, each] of values.entries()) await from.put(`app/s${index}`, each);
          const report = await to.importFrom(await from.exportTo('app', { format }), { format, prefix: 'other' });
          expect(report.failed.size).toBe(0);
          for (const index of values.keys()) {
            const before = await from.getOrThrow(`app/s${index}`);
            expect(Buffer.from((await to.getOrThrow(`other/s${index}`)).bytes())).toEqual(Buffer.from(before.bytes()));
          }
          await Promise.all([from.stop(), to.stop()]);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('writes names that shells take, and refuses two that would be one', async () => {
    await secrets.put('shop/db/password', "it's $1");
    await secrets.put('shop/api-key', 'k1');
    expect(await secrets.exportTo('shop/', { format: 'dotenv' })).toBe('API_KEY=k1\nDB_PASSWORD="it\'s \\$1"\n');
    await secrets.put('shop/api.key', 'k2');
    await expect(secrets.exportTo('shop/', { format: 'dotenv' })).rejects.toThrow(/shop\/api[-.]key is API_KEY too/);
    await secrets.delete('shop/api.key', { permanent: true });
    await secrets.put('shop/raw', Buffer.from([0xff]));
    await expect(secrets.exportTo('shop/', { format: 'dotenv' })).rejects.toMatchObject({
      code: 'MNOPS_CORE_CONFIG_INVALID',
      message: expect.stringContaining('shop/raw'),
    });
  });

  it('changes nothing when a text cannot be read, and quotes nothing of it', async () => {
    for (const [format, text] of [
      ['dotenv', 'GOOD=1\nBAD hunter2'],
      ['json', '{"good": 1, "bad": hunter2}'],
      ['json', '["hunter2"]'],
      ['json', '{"good": 1, "a/../b": "hunter2"}'],
      ['json', '{"good": 1, "x": {"$base64": 5, "y": "hunter2"}}'],
      ['yaml', 'good: 1\nbad: "hunter2'],
      ['yaml', 'good: 1\nbad: *hunter2'],
      ['dotenv', 'GOOD=1\n__=1\nA..B=hunter2\n=hunter2'],
    ] as const) {
      const error: unknown = await secrets.importFrom(text, { format }).catch((caught: unknown) => caught);
      expect(MnopsError.is(error, 'MNOPS_CORE_CONFIG_INVALID'), `${format} ${text}`).toBe(true);
      expect(JSON.stringify(error) + String(error)).not.toContain('hunter2');
    }
    await expect(secrets.importFrom('a: 1', { format: 'toml' as never })).rejects.toThrow(/dotenv/);
    const all: string[] = [];
    for await (const { path } of secrets.list()) all.push(path);
    expect(all).toEqual([]);
  });

  it('goes on after a secret that cannot be stored, with the rights of the actor', async () => {
    const guarded = new SecretsManager({
      provider: memory(),
      access: { roles: { w: [{ path: 'app/ok', allow: ['create', 'update'] }] }, actors: { ci: ['w'] } },
    });
    const report = await guarded.as('ci').importFrom('{"ok": "1", "no": "2"}', { format: 'json', prefix: 'app' });
    expect(report.created).toEqual(['app/ok']);
    expect([...report.failed.keys()]).toEqual(['app/no']);
    expect(report.failed.get('app/no')?.code).toBe('MNOPS_CORE_ACCESS_DENIED');
    await guarded.stop();
  });
});
