import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { memory } from '../providers/memory/index.js';
import { SecretsManager } from '../secrets-manager.js';
import { type ScanFinding, type ScanOptions, scan } from './scan.js';

// Put together here, so that no scanner takes this file for a leak.
const forms: Readonly<Record<string, string>> = {
  'private-key': `-----BEGIN RSA ${'PRIVATE'} KEY-----`,
  'aws-access-key': `AK${'IA'}IOSFODNN7EXAMPLE`,
  'github-token': `gh${'p_'}${'aB3'.repeat(12)}`,
  'gitlab-token': `gl${'pat-'}${'aB3x-'.repeat(4)}`,
  'slack-token': `xo${'xb-'}123456789012-abcdef`,
  'stripe-key': `sk_${'live_'}${'aB3x'.repeat(6)}`,
  'google-api-key': `AI${'za'}${'aB3x-'.repeat(7)}`,
  'npm-token': `np${'m_'}${'aB3'.repeat(12)}`,
  'vault-token': `hv${'s.'}${'aB3x-'.repeat(6)}`,
  'json-web-token': `ey${'J'}hbGciOiJIUzI1NiJ9.ey${'J'}zdWIiOiIxIn0123.${'aB3x'.repeat(8)}`,
  'url-password': `postgres://app:${'pa5s'}w0rd@db:5432/orders`,
  'assigned-secret': `db_password = "${'q9F'}zK2mVx8Rt"`,
};

describe('scan', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'mnops-scan-'));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  async function found(options: Partial<ScanOptions> = {}): Promise<ScanFinding[]> {
    const all: ScanFinding[] = [];
    for await (const finding of scan({ folder, ...options })) all.push(finding);
    return all;
  }

  it('tells each kind by its form, with its place and never with its text', async () => {
    for (const [rule, text] of Object.entries(forms)) await writeFile(join(folder, `${rule}.txt`), `one\n  ${text}\n`);
    const all = await found();
    expect(all.map(({ file, rule, line }) => [file, rule, line])).toEqual(
      Object.keys(forms)
        .sort()
        .map((rule) => [`${rule}.txt`, rule, 2]),
    );
    expect(all.find(({ rule }) => rule === 'aws-access-key')).toMatchObject({ column: 3 });
    for (const text of Object.values(forms)) expect(JSON.stringify(all)).not.toContain(text);
  });

  it('passes over what only names a secret', async () => {
    await writeFile(
      join(folder, 'config.ts'),
      [
        'password: "${DB_PASSWORD}"',
        "password: 'secret://db/login#password'",
        'const token = "<your-token>";',
        'postgres://app:${PASSWORD}@db/orders',
        'https://example.com:8080/path@2',
        'api_key = "xxxxxxxxxxxxxxxx"',
        'passwordField = "password"',
        'AKIA is a prefix',
      ].join('\n'),
    );
    expect(await found()).toEqual([]);
  });

  it('finds known values in any of their forms, also in binary files', async () => {
    const secrets = new SecretsManager({ provider: memory() });
    await secrets.put('db/login', { password: 'blue-canary-77' });
    const value = await secrets.getOrThrow('db/login');
    await writeFile(join(folder, 'a.log'), 'GET /?p=blue-canary-77 200\n');
    await writeFile(join(folder, 'b.bin'), Buffer.concat([Buffer.from([0, 1, 2]), Buffer.from('blue-canary-77')]));
    await writeFile(join(folder, 'c.txt'), `x ${Buffer.from('blue-canary-77').toString('base64')} y`);
    const all = await found({ values: [value] });
    expect(all.map(({ file, rule, path }) => [file, rule, path])).toEqual([
      ['a.log', 'known-value', 'db/login'],
      ['b.bin', 'known-value', 'db/login'],
      ['c.txt', 'known-value', 'db/login'],
    ]);
    expect(all[0]?.fingerprint).toBe(all[1]?.fingerprint);
    await secrets.stop();
  });

  it('passes over the tokens of its own locks', async () => {
    const token = `"token":"${'9f3c71d0a2b4'.repeat(2)}"}`;
    await writeFile(join(folder, 'w-1.lock'), `{"pid":7,"startTime":"1","bootId":"b",${token}`);
    await writeFile(join(folder, 'yarn.lock'), `{${token}`);
    expect((await found()).map(({ file }) => file)).toEqual(['yarn.lock']);
  });

  it('keeps to the folder, to the limits and to what is asked', async () => {
    const text = forms['aws-access-key'] ?? '';
    for (const name of ['node_modules', '.git', 'kept']) {
      await mkdir(join(folder, name));
      await writeFile(join(folder, name, 'key.txt'), text);
    }
    await symlink(join(folder, 'kept'), join(folder, 'link'));
    await writeFile(join(folder, 'large.txt'), text.padEnd(4_000));
    expect((await found({ maxFileBytes: 3_000 })).map(({ file }) => file)).toEqual([join('kept', 'key.txt')]);
    expect((await found({ ignore: ['kept', 'large.txt'] })).map(({ file }) => file)).toEqual([
      join('.git', 'key.txt'),
      join('node_modules', 'key.txt'),
    ]);
    expect((await found({ folder: join(folder, 'large.txt') })).map(({ file }) => file)).toEqual(['large.txt']);
    await expect(found({ folder: join(folder, 'absent') })).rejects.toMatchObject({
      code: 'MNOPS_CORE_STORAGE_FAILED',
    });
    await expect(found({ depth: 3 } as never)).rejects.toMatchObject({ code: 'MNOPS_CORE_CONFIG_INVALID' });
    await expect(found({ signal: AbortSignal.abort(new Error('enough')) })).rejects.toThrow('enough');
  });

  it('is not slowed down by hostile lines', async () => {
    await writeFile(
      join(folder, 'a.txt'),
      `${'a'.repeat(200_000)}://${'b'.repeat(200_000)}\n${'password_'.repeat(50_000)}`,
    );
    expect(await found()).toEqual([]);
  });
});
