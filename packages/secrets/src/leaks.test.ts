import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { serialize } from 'node:v8';
import { rawKey } from '@mnops/core/crypto';
import { onOperation } from '@mnops/core/operations';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { encryptedFile } from './providers/encrypted-file/index.js';
import { memory } from './providers/memory/index.js';
import type { SecretConfig } from './secret-config.js';
import { SecretsManager } from './secrets-manager.js';

const open: SecretsManager[] = [];
const folders: string[] = [];
afterEach(async () => {
  for (const each of open.splice(0)) await each.stop();
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
});

function manager(config: SecretConfig = {}): SecretsManager {
  const secrets = new SecretsManager({ provider: memory(), ...config });
  open.push(secrets);
  return secrets;
}

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'mnops-secrets-'));
  folders.push(folder);
  return folder;
}

describe('what a value shows of itself', () => {
  const canary = 'canary-5f2e9a';

  it('is nothing, in every sink', async () => {
    const folder = await newFolder();
    const contexts: unknown[] = [];
    const off = onOperation((event) => contexts.push(event));
    const secrets = manager({
      folder,
      provider: encryptedFile({ file: join(folder, 'v'), key: rawKey(Buffer.alloc(32, 1)) }),
    });
    await secrets.put('a', { password: canary });
    const value = await secrets.getOrThrow('a');
    const handle = secrets.handle('a');
    await handle.ready();
    const failures: unknown[] = [];
    await secrets.put('text', `${canary} not json`);
    const plain = await secrets.getOrThrow('text');
    for (const run of [
      () => plain.json(),
      () => value.field('none'),
      () => plain.field('x'),
      () => value.json({ '~standard': { validate: () => ({ issues: [{ path: ['password'] }] }) } }),
    ]) {
      try {
        run();
      } catch (error) {
        failures.push(error);
      }
    }
    expect(failures).toHaveLength(4);
    const deep = { depth: 9, showHidden: true, showProxy: true, getters: true };
    const sinks = [
      ...[value, handle, secrets, failures, contexts, secrets.stats()].flatMap((each) => [
        inspect(each, deep),
        inspect(each, { ...deep, customInspect: false }),
        JSON.stringify(each),
      ]),
      String(value),
      `${value}`,
      `${value}`,
      JSON.stringify(structuredClone({ ...value })),
      serialize({ ...value }).toString('latin1'),
      Object.values(value).join(),
      new Error(`${value}`).stack ?? '',
    ];
    const { readdir } = await import('node:fs/promises');
    for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
      if (entry.isFile()) sinks.push(await readFile(join(entry.parentPath, entry.name), 'latin1'));
    }
    off();
    for (const [index, sink] of sinks.entries()) expect(sink.includes(canary), `sink ${index}`).toBe(false);
    expect(contexts.length).toBeGreaterThan(3);
    const bytes = value.bytes();
    bytes.fill(0);
    expect(value.field('password')).toBe(canary);
  });

  it('is taken out of texts and streams, in every form and over chunk borders', async () => {
    const secrets = manager();
    await secrets.put('db/login', { user: 'someone', password: `pa"ss/${canary}` });
    await secrets.put('short', 'abc');
    const redactor = secrets.redactor();
    const text = `pa"ss/${canary}`;
    const forms = [
      text,
      encodeURIComponent(text),
      Buffer.from(text).toString('base64'),
      Buffer.from(text).toString('hex'),
      JSON.stringify(text),
    ];
    for (const form of forms) {
      const redacted = redactor.redact(`before ${form} after abc`);
      expect(redacted).toContain('[secret db/login]');
      expect(redacted).not.toContain(canary);
      expect(redacted).toContain('after abc');
    }
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat({ max: 30 }), { minLength: 1, maxLength: 12 }), async (cuts) => {
        const line = `ü ${text} x ${forms[2]} end`;
        const stream = redactor.stream();
        const bytes = Buffer.from(line);
        let at = 0;
        let out = '';
        stream.on('data', (chunk: Buffer) => {
          out += chunk.toString('utf8');
        });
        for (const cut of cuts) {
          stream.write(bytes.subarray(at, at + cut));
          at += cut;
        }
        stream.end(bytes.subarray(at));
        await new Promise((resolve) => stream.on('end', resolve));
        expect(out).toBe(redactor.redact(line));
      }),
    );
  });
});
