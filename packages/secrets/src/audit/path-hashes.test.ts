import { createHmac } from 'node:crypto';
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { memory } from '../providers/memory/index.js';
import type { SecretConfig } from '../secret-config.js';
import { SecretsManager } from '../secrets-manager.js';

let folder: string;
const open: SecretsManager[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'path-hashes-'));
});
afterEach(async () => {
  for (const each of open.splice(0)) await each.stop();
  await rm(folder, { recursive: true });
});

function manager(config: SecretConfig = {}): SecretsManager {
  const values = { 'customers/acme-merger/key': 'x', other: 'y' };
  const secrets = new SecretsManager({ provider: memory({ values }), folder, audit: { hashPaths: true }, ...config });
  open.push(secrets);
  return secrets;
}

async function found(secrets: SecretsManager, target?: string, limit?: number): Promise<string[]> {
  const entries: string[] = [];
  for await (const { operation, path } of secrets.audit.query({ target, limit })) entries.push(`${operation} ${path}`);
  return entries;
}

async function auditText(): Promise<string> {
  const audit = join(folder, 'audit');
  const files = await readdir(audit, { recursive: true, withFileTypes: true });
  const texts = files.filter((each) => each.isFile()).map((each) => readFile(join(each.parentPath, each.name), 'utf8'));
  return (await Promise.all(texts)).join('\n');
}

describe('audit.hashPaths', () => {
  it('keeps paths out of the log, where they are still found by their path', async () => {
    const secrets = manager();
    const path = 'customers/acme-merger/key';
    await secrets.get(path);
    await secrets.get(path);
    await secrets.put(path, 'z');
    await secrets.get('other');
    for await (const _ of secrets.list('customers/'));
    const entries = await found(secrets, path);
    expect(entries.map((each) => each.split(' ')[0])).toEqual(['read', 'read', 'update']);
    expect(entries[0]).toMatch(/^read hmac-sha256:[0-9a-f]{64}$/);
    expect(await found(secrets, path, 2)).toEqual(entries.slice(0, 2));
    expect((await found(secrets, 'customers/*')).length).toBe(1);
    expect((await found(secrets)).length).toBe(5);
    expect((await found(secrets, undefined, 1)).length).toBe(1);
    expect((await secrets.audit.verify()).intact).toBe(true);
    await secrets.stop();
    expect(await auditText()).not.toMatch(/acme|customers|"other"/);
  });

  it('keeps its key in a file for its owner alone, so that the next process finds what this one wrote', async () => {
    await manager().get('other');
    await open[0]?.stop();
    const file = join(folder, 'audit-paths.key');
    if (process.platform !== 'win32') expect((await stat(file)).mode & 0o777).toBe(0o600);
    const next = manager();
    await next.get('other');
    expect((await found(next, 'other')).length).toBe(2);
    const key = Buffer.from((await readFile(file, 'latin1')).trim().split(':')[1] ?? '', 'base64url');
    const hashed = createHmac('sha256', key).update('other').digest('hex');
    expect((await found(next, 'other'))[0]).toBe(`read hmac-sha256:${hashed}`);
    expect((await readdir(folder)).sort()).toEqual(['audit', 'audit-paths.key']);
  });

  it('finds what was recorded before paths were hashed', async () => {
    await manager({ audit: {} }).get('other');
    await open[0]?.stop();
    const next = manager();
    await next.get('other');
    expect((await found(next, 'other')).map((each) => each.slice(0, 17))).toEqual(['read other', 'read hmac-sha256:']);
    expect((await found(next, 'other', 1)).length).toBe(1);
  });

  it('takes a key that is given, and works in memory without one', async () => {
    const key = Buffer.alloc(32, 7);
    const given = manager({ audit: { hashPaths: { key } } });
    await given.get('other');
    expect(await found(given, 'other')).toEqual([
      `read hmac-sha256:${createHmac('sha256', key).update('other').digest('hex')}`,
    ]);
    const values = { other: 'y' };
    const secrets = new SecretsManager({ provider: memory({ values }), audit: { hashPaths: true } });
    open.push(secrets);
    await secrets.get('other');
    expect((await found(secrets, 'other')).length).toBe(1);
  });

  it('refuses a key of another length, one that nobody keeps, and a file that others may read', async () => {
    const refused = { code: 'MNOPS_CORE_CONFIG_INVALID' };
    const sink = { append: async () => undefined };
    const wrong: SecretConfig[] = [
      { audit: { hashPaths: { key: Buffer.alloc(31) } } },
      { audit: { hashPaths: 'yes' as unknown as boolean } },
      { provider: memory(), folder: undefined, audit: { hashPaths: true, sink } },
    ];
    for (const config of wrong) expect(() => new SecretsManager(config)).toThrow(expect.objectContaining(refused));
    if (process.platform === 'win32') return;
    await writeFile(join(folder, 'audit-paths.key'), 'mnops-audit-paths-1:AAAA\n', { mode: 0o600 });
    await expect(manager().get('other')).rejects.toMatchObject({ code: 'MNOPS_CORE_KEY_INVALID' });
    await chmod(join(folder, 'audit-paths.key'), 0o644);
    await expect(manager().get('other')).rejects.toThrow('others may read');
  });
});
