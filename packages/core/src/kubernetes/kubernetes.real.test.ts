import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type KubernetesServer, partSuite } from '@mnops/tooling/parts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually, testCall } from '../testing/test-call.js';
import { type KubernetesClient, type KubernetesClientOptions, kubernetesClient } from './index.js';

const configMaps = { apiVersion: 'v1', plural: 'configmaps', namespaced: true };
const serviceAccounts = { apiVersion: 'v1', plural: 'serviceaccounts', namespaced: true };
const namespaces = { apiVersion: 'v1', plural: 'namespaces', namespaced: false };
const deployments = { apiVersion: 'apps/v1', plural: 'deployments', namespaced: true };

interface Data {
  readonly data?: Readonly<Record<string, string>>;
}

partSuite({ describe, it }, 'kubernetes', 'Kubernetes client against the API server', (part) => {
  const call = testCall();
  const clients: KubernetesClient[] = [];
  let server: KubernetesServer;
  let kubernetes: KubernetesClient;

  function client(options: KubernetesClientOptions): KubernetesClient {
    const made = kubernetesClient(options);
    clients.push(made);
    return made;
  }
  beforeAll(async () => {
    server = await part.start();
    kubernetes = client({ access: { kubeconfig: server.kubeconfig }, pageSize: 3 });
  }, 120_000);
  afterAll(async () => {
    for (const made of clients) await made.close();
    await server?.stop();
  }, 60_000);

  const map = (name: string, data: Readonly<Record<string, string>> = {}) => ({
    kind: 'ConfigMap',
    metadata: { name },
    data,
  });

  it('speaks the version, and kubectl sees what it wrote', async () => {
    expect(await kubernetes.serverVersion(call)).toBe(`v${part.version}`);
    await kubernetes.create(configMaps, map('seen', { 'a.b': 'ü\n' }), {}, call);
    const { stdout } = await server.kubectl(['get', 'configmap', 'seen', '-o', 'json', '--show-managed-fields']);
    const seen = JSON.parse(stdout) as { data: unknown; metadata: { managedFields: { manager: string }[] } };
    expect(seen.data).toEqual({ 'a.b': 'ü\n' });
    expect(seen.metadata.managedFields.map(({ manager }) => manager)).toEqual(['mnops']);
  });

  it('reads what kubectl wrote, page by page, and tells what is absent', async () => {
    await kubernetes.create(namespaces, { kind: 'Namespace', metadata: { name: 'pages' } }, {}, call);
    for (let index = 0; index < 7; index += 1) {
      const made = await server.kubectl([
        'create',
        'configmap',
        `m${index}`,
        '-n',
        'pages',
        `--from-literal=n=${index}`,
      ]);
      expect(made.code, made.stderr).toBe(0);
    }
    const { items } = await kubernetes.list<Data>(configMaps, { namespace: 'pages' }, call);
    expect(items.map(({ data }) => data?.['n'])).toEqual(['0', '1', '2', '3', '4', '5', '6']);
    const bare = await kubernetes.list<Data>(configMaps, { namespace: 'pages', metadataOnly: true }, call);
    expect(bare.items.map(({ metadata, data }) => [metadata.name, data])[6]).toEqual(['m6', undefined]);
    expect(await kubernetes.get(configMaps, { name: 'none' }, call)).toBeUndefined();
  });

  it('keeps conditions: versions, uids, tests in patches, owners of fields', async () => {
    const made = await kubernetes.create(configMaps, map('cas', { a: '1' }), {}, call);
    const { resourceVersion = '', uid = '' } = made.metadata;
    const next = { ...map('cas', { a: '2' }), metadata: { name: 'cas', resourceVersion } };
    await kubernetes.replace(configMaps, next, {}, call);
    const conflict = { code: 'MNOPS_CORE_CONFLICT', details: { reason: 'Conflict' } };
    await expect(kubernetes.replace(configMaps, next, {}, call)).rejects.toMatchObject(conflict);
    const exists = { code: 'MNOPS_CORE_CONFLICT', details: { reason: 'AlreadyExists' } };
    await expect(kubernetes.create(configMaps, map('cas'), {}, call)).rejects.toMatchObject(exists);
    const at = { name: 'cas' };
    const tested = (value: string) =>
      kubernetes.jsonPatch<Data>(
        configMaps,
        at,
        [
          { op: 'test', path: '/data/a', value },
          { op: 'replace', path: '/data/a', value: '3' },
        ],
        {},
        call,
      );
    await expect(tested('1')).rejects.toMatchObject({ code: 'MNOPS_CORE_CONFIG_INVALID' });
    expect((await tested('2')).data).toEqual({ a: '3' });
    const merged = await kubernetes.mergePatch<Data>(configMaps, at, { data: { a: null, b: '4' } }, {}, call);
    expect(merged.data).toEqual({ b: '4' });
    const wrongUid = kubernetes.delete(configMaps, at, { uid: '00000000-0000-0000-0000-000000000000' }, call);
    await expect(wrongUid).rejects.toMatchObject({ code: 'MNOPS_CORE_CONFLICT' });
    expect(await kubernetes.delete(configMaps, at, { uid }, call)).toBe(true);
    expect(await kubernetes.delete(configMaps, at, {}, call)).toBe(false);
  });

  it('applies: owned fields follow the object, those of others are refused unless forced', async () => {
    await kubernetes.apply(configMaps, map('applied', { ours: '1', gone: 'x' }), {}, call);
    const other = { fieldManager: 'other' };
    await kubernetes.apply(configMaps, map('applied', { theirs: '1' }), other, call);
    const second = await kubernetes.apply<Data>(configMaps, map('applied', { ours: '2' }), {}, call);
    expect(second.data).toEqual({ ours: '2', theirs: '1' });
    const taking = map('applied', { ours: '2', theirs: 'taken' });
    await expect(kubernetes.apply(configMaps, taking, {}, call)).rejects.toMatchObject({
      code: 'MNOPS_CORE_CONFLICT',
      details: { causes: [{ reason: 'FieldManagerConflict', field: '.data.theirs' }] },
    });
    const dry = await kubernetes.apply<Data>(configMaps, taking, { force: true, dryRun: true }, call);
    expect(dry.data?.['theirs']).toBe('taken');
    expect((await kubernetes.get<Data>(configMaps, { name: 'applied' }, call))?.data?.['theirs']).toBe('1');
    await kubernetes.apply(configMaps, taking, { force: true }, call);
    const { stdout } = await server.kubectl(['get', 'configmap', 'applied', '-o', 'jsonpath={.data.theirs}']);
    expect(stdout).toBe('taken');
  });

  it('says which field the server refused, and who may not', async () => {
    const wrong = { kind: 'Deployment', metadata: { name: 'wrong' }, spec: { replicas: -1 } };
    const refused = await kubernetes.create(deployments, wrong, {}, call).catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: 'MNOPS_CORE_CONFIG_INVALID', details: { reason: 'Invalid' } });
    const stray = { ...map('stray'), unknown: true };
    await expect(kubernetes.create(configMaps, stray, {}, call)).rejects.toMatchObject({
      code: 'MNOPS_CORE_CONFIG_INVALID',
    });
    const { url, caFile, tokens } = server;
    const stranger = client({ access: { server: url, caFile, token: tokens.stranger } });
    await expect(stranger.get(configMaps, { name: 'a' }, call)).rejects.toMatchObject({
      code: 'MNOPS_CORE_ACCESS_DENIED',
      details: { reason: 'Forbidden' },
    });
    const unknown = client({ access: { server: url, caFile, token: 'unknown' } });
    await expect(unknown.get(configMaps, { name: 'a' }, call)).rejects.toMatchObject({
      code: 'MNOPS_CORE_UNAUTHENTICATED',
    });
    const untrusted = client({ access: { server: url, token: tokens.admin } });
    await expect(untrusted.get(configMaps, { name: 'a' }, call)).rejects.toMatchObject({
      code: 'MNOPS_CORE_UNAVAILABLE',
      retryable: false,
    });
    const trusting = client({ access: { server: url, token: tokens.admin, insecureSkipTlsVerify: true } });
    expect(await trusting.get(configMaps, { name: 'a' }, call)).toBeUndefined();
  });

  it('watches over a restart of the server without a gap, and lists anew for a version that is too old', {
    timeout: 120_000,
  }, async () => {
    const watching = testCall();
    const seen: string[] = [];
    const selection = { labelSelector: 'watched=yes' };
    const made = (name: string) =>
      kubernetes.create(configMaps, { ...map(name), metadata: { name, labels: { watched: 'yes' } } }, {}, call);
    await made('w0');
    const run = (async () => {
      for await (const event of kubernetes.watch(configMaps, selection, watching)) {
        if (event.type === 'listed') seen.push(`listed ${event.items.map(({ metadata }) => metadata.name).join(' ')}`);
        else seen.push(`${event.type} ${event.object.metadata.name}`);
      }
    })();
    await eventually(() => expect(seen).toEqual(['listed w0']));
    await made('w1');
    await eventually(() => expect(seen.at(-1)).toBe('added w1'));
    await server.restart();
    await eventually(() => made('w2').then(() => true), { timeoutMs: 30_000 });
    await eventually(() => expect(seen.join()).toContain('w2'), { timeoutMs: 60_000 });
    await kubernetes.delete(configMaps, { name: 'w0' }, {}, call);
    await eventually(() => expect(seen.at(-1)).toBe('deleted w0'), { timeoutMs: 60_000 });
    const told = seen.filter((line) => line.startsWith('added'));
    expect(new Set(told).size).toBe(told.length);
    watching.abort();
    await run;
    // An old version: etcd keeps it, the server's cache of changes began after its restart.
    const old = kubernetes.watch(configMaps, { ...selection, resourceVersion: '1' }, testCall());
    const first = await old.next();
    expect(first.done === true ? 'end' : first.value.type).toBe('listed');
    await old.return();
  });

  it('lives on when its token ends and the file holds a new one', { timeout: 120_000 }, async () => {
    await kubernetes.create(serviceAccounts, { kind: 'ServiceAccount', metadata: { name: 'robot' } }, {}, call);
    const account = await kubernetes.get(serviceAccounts, { name: 'robot' }, call);
    for (const args of [
      ['clusterrole', 'map-reader', '--verb=get', '--resource=configmaps'],
      ['clusterrolebinding', 'robot', '--clusterrole=map-reader', '--serviceaccount=default:robot'],
    ]) {
      const made = await server.kubectl(['create', ...args]);
      expect(made.code, made.stderr).toBe(0);
    }
    const robot = { namespace: 'default', name: 'robot', uid: account?.metadata.uid ?? '' };
    const tokenFile = join(server.folder, 'robot-token');
    const short = server.serviceAccountToken(robot, 5_000);
    writeFileSync(tokenFile, short);
    const { url, caFile } = server;
    const access = { server: url, caFile };
    const robotClient = client({ access: { ...access, tokenFile } });
    const fixed = client({ access: { ...access, token: short } });
    // The server learns of new rights by a watch of its own.
    await eventually(async () => expect(await robotClient.get(configMaps, { name: 'none' }, call)).toBeUndefined());
    const read = () => fixed.get(configMaps, { name: 'none' }, call);
    await eventually(
      async () =>
        expect(await read().catch((error: { code: string }) => error.code)).toBe('MNOPS_CORE_UNAUTHENTICATED'),
      { timeoutMs: 60_000 },
    );
    await expect(robotClient.get(configMaps, { name: 'none' }, call)).rejects.toMatchObject({
      code: 'MNOPS_CORE_UNAUTHENTICATED',
    });
    writeFileSync(tokenFile, server.serviceAccountToken(robot, 600_000));
    expect(await robotClient.get(configMaps, { name: 'none' }, call)).toBeUndefined();
  });
});
