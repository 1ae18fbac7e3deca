import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { MnopsError } from '@mnops/core';
import type { SecretProvider } from '@mnops/core/spi';
import { eventually, secretProviderContract, testCall } from '@mnops/core/testing';
import { type KubernetesServer, partSuite } from '@mnops/tooling/parts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { kubernetesSecrets } from './index.js';
import { nameOfPath, versionName } from './secret-name.js';

partSuite({ describe, it }, 'kubernetes', 'Kubernetes Secrets in the API server', (part) => {
  const call = testCall();
  const opened: SecretProvider[] = [];
  let server: KubernetesServer;
  let counter = 0;

  beforeAll(async () => {
    server = await part.start();
  }, 120_000);
  afterAll(async () => {
    for (const provider of opened) await provider.close?.(call);
    await server?.stop();
  }, 60_000);

  async function namespace(): Promise<string> {
    counter += 1;
    const name = `test-${counter}`;
    const made = await server.kubectl(['create', 'namespace', name]);
    expect(made.code, made.stderr).toBe(0);
    return name;
  }
  function provider(name: string, options: { readonly maxVersions?: number } = {}): SecretProvider {
    const made = kubernetesSecrets({
      namespace: name,
      cluster: { access: { kubeconfig: server.kubeconfig } },
      ...options,
    });
    opened.push(made);
    return made;
  }
  async function put(to: SecretProvider, path: string, value: string, ifVersion?: string | null) {
    const token = randomBytes(16).toString('hex');
    return await to.put(path, Buffer.from(value), { token, stages: ['current'], ifVersion }, call);
  }
  const text = async (from: SecretProvider, path: string) =>
    Buffer.from((await from.get(path, {}, call))?.value ?? []).toString('utf8');

  secretProviderContract(
    { describe, it: (name, body) => it(name, { timeout: 30_000 }, body) },
    'kubernetes secrets (API server)',
    async () => {
      return { provider: provider(await namespace()) };
    },
  );

  it('is mounted and read field by field by other tools, under immutable versions', async () => {
    const name = await namespace();
    const secrets = provider(name);
    const login = '{"user":"shop","password":"p \\"1\\""}';
    await put(secrets, 'db/login', login);
    const shown = await server.kubectl(['get', 'secret', 'db--login', '-n', name, '-o', 'jsonpath={.data.password}']);
    expect(Buffer.from(shown.stdout, 'base64').toString()).toBe('p "1"');
    expect(await text(secrets, 'db/login')).toBe(login);
    const patch = ['patch', 'secret', 'db--login----v1', '-n', name, '--type=merge', '-p', '{"data":{"user":"eA=="}}'];
    const patched = await server.kubectl(patch);
    expect(patched.code).not.toBe(0);
    expect(patched.stderr).toContain('immutable');
  });

  it('reads what others made and leaves it alone', async () => {
    const name = await namespace();
    const secrets = provider(name);
    const file = [
      'create',
      'secret',
      'generic',
      'theirs',
      '-n',
      name,
      '--from-literal=user=a',
      `--from-file=key=${process.execPath}`,
    ];
    // The Node binary is far over the limit of a Secret: kubectl refuses, and the plain one below stays.
    expect((await server.kubectl(file)).code).not.toBe(0);
    await server.kubectl([
      'create',
      'secret',
      'generic',
      'theirs',
      '-n',
      name,
      '--from-literal=user=a',
      '--from-literal=password=b',
    ]);
    expect(await text(secrets, 'theirs')).toBe('{"password":"b","user":"a"}');
    expect((await secrets.describe('theirs', call))?.version).toMatch(/^\d+$/);
    for (const write of [
      () => put(secrets, 'theirs', 'x'),
      () => secrets.delete('theirs', { permanent: true }, call),
    ]) {
      await expect(write()).rejects.toMatchObject({ code: 'MNOPS_CORE_CONFLICT' });
    }
    expect(await text(secrets, 'theirs')).toBe('{"password":"b","user":"a"}');
  });

  it('takes a value of exactly the limit, and no byte more', async () => {
    const secrets = provider(await namespace());
    const { maxValueBytes } = secrets.capabilities;
    await put(secrets, 'large', 'x'.repeat(maxValueBytes));
    expect((await text(secrets, 'large')).length).toBe(maxValueBytes);
    await expect(put(secrets, 'large', 'x'.repeat(maxValueBytes + 1))).rejects.toMatchObject({
      code: 'MNOPS_CORE_TOO_LARGE',
    });
  });

  it('keeps so many versions and deletes the Secrets of the others', async () => {
    const name = await namespace();
    const secrets = provider(name, { maxVersions: 3 });
    for (let index = 1; index <= 6; index += 1) await put(secrets, 'pruned', `value ${index}`);
    const { stdout } = await server.kubectl(['get', 'secrets', '-n', name, '-o', 'name']);
    expect(stdout.trim().split('\n')).toEqual([
      'secret/pruned',
      ...[4, 5, 6].map((version) => `secret/pruned----v${version}`),
    ]);
    await secrets.delete('pruned', { permanent: true }, call);
    const left = await server.kubectl(['get', 'secrets', '-n', name, '-o', 'jsonpath={.items[*].data}']);
    expect(left.stdout.replaceAll(/[{} ]/g, '')).toBe('');
  });

  it('goes on after a process that died between the value and the pointer', async () => {
    const name = await namespace();
    const secrets = provider(name);
    await put(secrets, 'orphan', 'one');
    const copy = await server.kubectl(['get', 'secret', 'orphan----v1', '-n', name, '-o', 'json']);
    const left = JSON.parse(copy.stdout) as { metadata: { annotations: Record<string, string> } };
    const { labels } = left.metadata as { labels?: unknown };
    const metadata = {
      name: 'orphan----v2',
      labels,
      annotations: { ...left.metadata.annotations, 'mnops.dev/token': 'dead' },
    };
    const input = JSON.stringify({ ...left, metadata });
    expect((await server.kubectl(['create', '-n', name, '-f', '-'], { input })).code).toBe(0);
    const next = await put(secrets, 'orphan', 'three');
    expect(next.version).toBe('3');
    expect(await text(secrets, 'orphan')).toBe('three');
    expect((await secrets.put('orphan', Buffer.from('x'), { token: 'dead', stages: ['current'] }, call)).version).toBe(
      '4',
    );
  });

  it('loses no write and no version between two processes that write the same path', { timeout: 120_000 }, async () => {
    const name = await namespace();
    const script = fileURLToPath(new URL('./fixtures/writer-process.ts', import.meta.url));
    const writers = ['a', 'b'].map((label) =>
      spawn(
        process.execPath,
        ['--conditions=@mnops/source', '--import', 'tsx', script, server.kubeconfig, name, label, '15'],
        {
          stdio: ['ignore', 'pipe', 'inherit'],
        },
      ),
    );
    const outputs = await Promise.all(
      writers.map(async (writer) => {
        let output = '';
        writer.stdout.on('data', (chunk: Buffer) => {
          output += chunk.toString();
        });
        const [code] = await once(writer, 'close');
        expect(code).toBe(0);
        return output.trim().split('\n');
      }),
    );
    const versions = outputs.flat();
    expect(versions.length).toBe(30);
    expect(new Set(versions).size, 'each write has a version of its own').toBe(30);
    const secrets = provider(name, { maxVersions: 100 });
    const stored: string[] = [];
    for await (const { version } of secrets.listVersions('shared', call)) stored.push(version);
    expect([...stored].sort()).toEqual([...versions].sort());
    for (const version of stored) expect(await secrets.get('shared', { version }, call)).toBeDefined();
    const { stdout } = await server.kubectl(['get', 'secrets', '-n', name, '-o', 'name']);
    const named = stdout
      .trim()
      .split('\n')
      .map((line) => line.replace('secret/', ''));
    const expected = [nameOfPath('shared'), ...versions.map((version) => versionName('shared', Number(version)))];
    expect(named.sort(), 'no value without a version is left').toEqual(expected.sort());
  });

  it('watches over a restart of the server', { timeout: 120_000 }, async () => {
    const secrets = provider(await namespace());
    const watching = testCall();
    const seen: (string | undefined)[] = [];
    const run = (async () => {
      for await (const { path } of secrets.watch?.('app/', watching) ?? []) seen.push(path);
    })();
    await put(secrets, 'app/one', '1');
    await eventually(() => expect(seen).toContain('app/one'));
    await server.restart();
    await eventually(() => put(secrets, 'app/two', '2').then(() => true), { timeoutMs: 60_000 });
    // Changes that cannot be told one by one are told as `undefined`.
    await eventually(() => expect(seen.includes('app/two') || seen.includes(undefined)).toBe(true), {
      timeoutMs: 60_000,
    });
    watching.abort();
    await run;
  });

  it('lets of several conditional writers one through, and names the conflict to the others', async () => {
    const name = await namespace();
    const providers = [provider(name), provider(name), provider(name)];
    const { version } = await put(providers[0] as SecretProvider, 'cas', 'first', null);
    const writes = await Promise.allSettled(providers.map((one, index) => put(one, 'cas', `writer ${index}`, version)));
    expect(writes.filter(({ status }) => status === 'fulfilled').length).toBe(1);
    for (const write of writes) {
      if (write.status === 'rejected') expect(MnopsError.is(write.reason, 'MNOPS_CORE_CONFLICT')).toBe(true);
    }
    const { stdout } = await server.kubectl(['get', 'secrets', '-n', name, '-o', 'name']);
    expect(stdout.trim().split('\n').length, 'the losers left no Secret behind').toBe(3);
  });
});
