import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { packageVersion } from '../package-version.js';
import { run } from './run.js';
import type { Terminal } from './terminal.js';
import { usage } from './usage.js';

const secret = 'hunter2-canary';

describe('mnops-secrets', () => {
  let folder: string;
  let input: string;
  let typed: string | undefined;
  let out: string;
  let told: string;

  const terminal = (): Terminal => ({
    interactive: typed !== undefined,
    shown: false,
    read: async () => Buffer.from(input),
    ask: async () => typed ?? '',
    write: (text) => {
      out += Buffer.from(text).toString();
    },
    tell: (text) => {
      told += `${text}\n`;
    },
  });

  /** Runs a command on the vault of this test. */
  async function cli(...words: string[]): Promise<number> {
    out = '';
    told = '';
    const vault = ['--folder', join(folder, 'data'), '--key-file', join(folder, 'key')];
    return await run([...words, ...vault], terminal());
  }

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'mnops-cli-'));
    input = '';
    typed = undefined;
  });

  afterEach(() => rm(folder, { recursive: true, force: true }));

  it('stores what it reads from standard input, and shows it only when asked to', async () => {
    input = `${secret}\n`;
    expect(await cli('put', 'db/login', '--expires-at', '2100-01-01')).toBe(0);
    expect(await cli('get', 'db/login')).toBe(0);
    expect(out).toBe('[secret db/login v1]\n');
    expect(await cli('get', 'db/login', '--reveal')).toBe(0);
    expect(out).toBe(`${secret}\n`);
    expect(await cli('get', 'db/login', '--json')).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ version: '1', expiresAt: '2100-01-01T00:00:00.000Z' });
    expect(out).not.toContain(secret);
    expect(await cli('list')).toBe(0);
    expect(out).toBe('db/login\t1\texpires 2100-01-01T00:00:00.000Z\n');
  });

  it('takes a value from a hidden prompt or a file, byte for byte', async () => {
    typed = secret;
    expect(await cli('put', 'typed')).toBe(0);
    await writeFile(join(folder, 'bytes'), Buffer.from([0, 255, 10]));
    expect(await cli('put', 'raw', '--from-file', join(folder, 'bytes'))).toBe(0);
    expect(await cli('get', 'typed', '--reveal')).toBe(0);
    expect(out).toBe(secret);
    expect(await cli('get', 'raw', '--reveal', '--json')).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ base64: Buffer.from([0, 255, 10]).toString('base64') });
  });

  it('keeps versions, goes back, deletes and restores', async () => {
    for (const text of ['one', 'two']) {
      input = text;
      await cli('put', 'a');
    }
    expect(await cli('versions', 'a')).toBe(0);
    expect(out.split('\n')[0]).toMatch(/^2\tenabled\t.*\tcurrent$/);
    expect(await cli('rollback', 'a')).toBe(0);
    expect(await cli('get', 'a', '--reveal')).toBe(0);
    expect(out).toBe('one');
    expect(await cli('delete', 'a')).toBe(0);
    expect(await cli('restore', 'a')).toBe(0);
    expect(await cli('get', 'a', '--version-id', '2', '--reveal')).toBe(0);
    expect(out).toBe('two');
  });

  it('imports and exports', async () => {
    await writeFile(join(folder, '.env'), `DB_PASSWORD=${secret}\nAPI_KEY='k 1'\n`);
    expect(await cli('import', join(folder, '.env'), '--prefix', 'shop', '--dry-run')).toBe(0);
    expect(await cli('list')).toBe(0);
    expect(out).toBe('');
    expect(await cli('import', join(folder, '.env'), '--prefix', 'shop')).toBe(0);
    expect(out).toBe('created: 2\nupdated: 0\nunchanged: 0\n');
    expect(await cli('export', 'shop')).toBe(2);
    expect(out).toBe('');
    expect(await cli('export', 'shop', '--reveal')).toBe(0);
    expect(out).toBe(`API_KEY='k 1'\nDB_PASSWORD=${secret}\n`);
    expect(await cli('export', 'shop', '--reveal', '--format', 'json')).toBe(0);
    expect(JSON.parse(out)).toEqual({ API_KEY: 'k 1', DB_PASSWORD: secret });
  });

  it('checks the audit log, and says so when it was edited', async () => {
    input = secret;
    await cli('put', 'a');
    expect(await cli('audit', 'verify')).toBe(0);
    expect(out).toMatch(/intact/);
    expect(await cli('audit', 'list')).toBe(0);
    expect(out).toMatch(/host\tupdate\ta\t1\tok/);
    const writers = await readdir(join(folder, 'data', 'audit'), { recursive: true, withFileTypes: true });
    for (const file of writers.filter((entry) => entry.isFile())) {
      const path = join(file.parentPath, file.name);
      const content = await readFile(path, 'utf8');
      expect(content).not.toContain(secret);
      await writeFile(path, content.replaceAll('"update"', '"delete"'));
    }
    expect(await cli('audit', 'verify')).toBe(7);
    expect(out).toMatch(/NOT intact/);
  });

  it('finds the values of the vault in files', async () => {
    input = secret;
    await cli('put', 'a');
    await writeFile(join(folder, 'app.log'), `login with ${secret}`);
    expect(await cli('scan', join(folder, 'app.log'))).toBe(9);
    expect(out).toMatch(/^app\.log:1:12\tknown-value\ta\t[0-9a-f]{16}\n$/);
    await writeFile(join(folder, 'clean.log'), 'nothing here');
    expect(await cli('scan', join(folder, 'clean.log'))).toBe(0);
  });

  it('wraps the vault with another key', async () => {
    input = secret;
    await cli('put', 'a');
    expect(await cli('rewrap', '--to-key-file', join(folder, 'next'))).toBe(0);
    expect(await cli('get', 'a')).toBe(8);
    expect(told).toMatch(/MNOPS_CORE_KEY_INVALID/);
    const words = ['get', 'a', '--reveal', '--folder', join(folder, 'data'), '--key-file', join(folder, 'next')];
    out = '';
    expect(await run(words, terminal())).toBe(0);
    expect(out).toBe(secret);
  });

  it('takes any back end and its rotations from a module', async () => {
    const module = join(folder, 'config.mjs');
    const provider = new URL('../providers/memory/index.ts', import.meta.url).href;
    await writeFile(
      module,
      `import { memory } from '${provider}';
       let value = '${secret}';
       const rotator = { specVersion: 1, kind: 'rotator', id: 'own', capabilities: { strategies: ['single-user'], overlap: false },
         generate: async () => 'next-value', apply: async () => {}, verify: async () => {}, revoke: async () => {} };
       export default () => ({ provider: memory({ values: { 'db/login': value } }), rotations: { 'db/login': { rotator } } });`,
    );
    out = '';
    told = '';
    expect(await run(['rotate', 'db/login', '--config', module], terminal())).toBe(0);
    expect(out).toBe('db/login: grace, version 2\n');
    expect(await run(['get', 'db/login', '--config', module, '--folder', 'x'], terminal())).toBe(2);
    await writeFile(join(folder, 'empty.mjs'), '');
    expect(await run(['list', '--config', join(folder, 'empty.mjs')], terminal())).toBe(2);
    expect(told).toMatch(/default export/);
    expect(out + told).not.toContain(secret);
  });

  it('says what is wrong with a documented exit code, and never shows a value', async () => {
    input = secret;
    await cli('put', 'a');
    for (const [code, words] of [
      [2, []],
      [2, ['frobnicate']],
      [2, ['get']],
      [2, ['get', 'a', 'b']],
      [2, ['put', 'a', '--value', secret]],
      [2, ['put', 'a', '--expires-at', 'soon']],
      [2, ['get', '../a']],
      [2, ['rewrap']],
      [2, ['rotate']],
      [2, ['export', '--reveal', '--format', 'toml']],
      [3, ['get', 'absent']],
      [3, ['versions', 'absent']],
      [1, ['import', join(folder, 'absent.env')]],
      [2, ['rewrap', '--to-key-file', 'x', '--to-passphrase-file', 'y']],
    ] as const) {
      expect(await cli(...words), words.join(' ')).toBe(code);
      expect(told, words.join(' ')).not.toBe('');
      expect(out + told, words.join(' ')).not.toContain(secret);
    }
    for (const [text, words] of [
      ['never taken from the command line', ['put', 'a', secret]],
      ['audit verify | audit list', ['audit', 'vrify']],
      ['There is no file absent.env.', ['import', 'absent.env']],
    ] as const) {
      await cli(...words);
      expect(told).toContain(text);
      expect(told).not.toContain(secret);
    }
    expect(await run(['list', '--config', 'absent.mjs'], terminal())).toBe(2);
    expect(told).toContain('The module absent.mjs could not be loaded (ERR_MODULE_NOT_FOUND).');
    expect(await cli('export', '--reveal', '--json')).toBe(0);
    expect(JSON.parse(out)).toEqual({ a: secret });
    expect(await cli('get', 'a', '--help')).toBe(0);
    expect(out).toBe(usage);
    expect(await cli('--version')).toBe(0);
    expect(out).toBe(`${packageVersion}\n`);
    expect(await cli('get', 'a', '--revael')).toBe(2);
    expect(told).toBe("Unknown option '--revael'. Try mnops-secrets --help.\n");
  });
});
