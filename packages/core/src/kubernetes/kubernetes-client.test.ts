import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fakeClock } from '../testing/fake-clock.js';
import { type KubernetesFake, kubernetesFake } from '../testing/kubernetes-fake.js';
import { eventually, testCall } from '../testing/test-call.js';
import {
  type KubernetesClient,
  type KubernetesClientOptions,
  type KubernetesWatchEvent,
  kubernetesClient,
} from './index.js';

const secrets = { apiVersion: 'v1', plural: 'secrets', namespaced: true };
const call = testCall();
let fake: KubernetesFake;
let folder: string;
let clients: KubernetesClient[] = [];

beforeEach(async () => {
  fake = await kubernetesFake();
  folder = mkdtempSync(join(tmpdir(), 'mnops-kubernetes-'));
});
afterEach(async () => {
  for (const client of clients) await client.close();
  clients = [];
  await fake.close();
  rmSync(folder, { recursive: true, force: true });
});

function client(options: Partial<KubernetesClientOptions> = {}): KubernetesClient {
  const made = kubernetesClient({ access: { server: fake.url }, random: () => 0, ...options });
  clients.push(made);
  return made;
}

const secret = (name: string, text = 'x') => ({
  kind: 'Secret',
  metadata: { name },
  data: { value: Buffer.from(text).toString('base64') },
});

async function create(name: string, text?: string): Promise<void> {
  await client().create(secrets, secret(name, text), {}, call);
}

describe('calls', () => {
  it('creates, reads, replaces by version, deletes by version', async () => {
    const kubernetes = client();
    const made = await kubernetes.create(secrets, secret('a'), {}, call);
    expect((await kubernetes.get(secrets, { name: 'a' }, call))?.metadata.uid).toBe(made.metadata.uid);
    const { resourceVersion } = made.metadata;
    const next = { ...secret('a', 'y'), metadata: { name: 'a', resourceVersion } };
    await kubernetes.replace(secrets, next, {}, call);
    await expect(kubernetes.replace(secrets, next, {}, call)).rejects.toMatchObject({
      code: 'MNOPS_CORE_CONFLICT',
      details: { reason: 'Conflict', status: 409 },
    });
    await expect(kubernetes.create(secrets, secret('a'), {}, call)).rejects.toMatchObject({
      code: 'MNOPS_CORE_CONFLICT',
      details: { reason: 'AlreadyExists' },
    });
    const stale = kubernetes.delete(secrets, { name: 'a' }, { resourceVersion }, call);
    await expect(stale).rejects.toMatchObject({ code: 'MNOPS_CORE_CONFLICT' });
    expect(await kubernetes.delete(secrets, { name: 'a' }, {}, call)).toBe(true);
    expect(await kubernetes.delete(secrets, { name: 'a' }, {}, call)).toBe(false);
    expect(await kubernetes.get(secrets, { name: 'a' }, call)).toBeUndefined();
  });

  it('asks for metadata alone where that is enough', async () => {
    await create('a', 'hidden');
    const found = await client().get(secrets, { name: 'a', metadataOnly: true }, call);
    expect(Object.keys(found ?? {})).not.toContain('data');
    const { items } = await client().list(secrets, { metadataOnly: true }, call);
    expect(JSON.stringify(items)).not.toContain(Buffer.from('hidden').toString('base64'));
  });

  it('lists page by page, and begins anew when the pages outlive the memory of the server', async () => {
    for (const name of ['a', 'b', 'c', 'd', 'e']) await create(name);
    const kubernetes = client({ pageSize: 2 });
    fake.expirePages(1);
    const { items, resourceVersion } = await kubernetes.list(secrets, {}, call);
    expect(items.map(({ metadata }) => metadata.name)).toEqual(['a', 'b', 'c', 'd', 'e']);
    expect(Number(resourceVersion)).toBeGreaterThan(1);
    fake.expirePages(100);
    await expect(kubernetes.list(secrets, {}, call)).rejects.toMatchObject({ code: 'MNOPS_CORE_UNAVAILABLE' });
    const few = client({ pageSize: 2, maxItems: 3 });
    fake.expirePages(0);
    await expect(few.list(secrets, {}, call)).rejects.toMatchObject({ code: 'MNOPS_CORE_TOO_LARGE' });
  });

  it('tells an absent object from a wrong address', async () => {
    fake.next({ status: 404, body: '<html>' });
    await expect(client().get(secrets, { name: 'a' }, call)).rejects.toMatchObject({ code: 'MNOPS_CORE_NOT_FOUND' });
  });

  it('lets no name lead elsewhere', async () => {
    const kubernetes = client();
    for (const name of ['', '.', '..', 'a/b', 'a%2fb', 'a\nb', 'x'.repeat(254)]) {
      await expect(kubernetes.get(secrets, { name }, call), name).rejects.toMatchObject({
        code: 'MNOPS_CORE_CONFIG_INVALID',
      });
    }
    for (const namespace of ['', '..', 'a/b', 'A', 'a.b']) {
      const found = kubernetes.get(secrets, { name: 'a', namespace }, call);
      await expect(found, namespace).rejects.toMatchObject({ code: 'MNOPS_CORE_CONFIG_INVALID' });
    }
    await kubernetes.get(secrets, { name: 'a?b#c' }, call);
    expect(fake.requests.map(({ url }) => url)).toEqual(['/api/v1/namespaces/default/secrets/a%3Fb%23c']);
  });

  it('maps the reasons of the server, and keeps what it says about a Secret to itself', async () => {
    const kubernetes = client();
    const refused = (status: number, reason: string, headers = {}) =>
      fake.next({ status, headers, body: { kind: 'Status', reason, code: status, message: 'quoted-value' } });
    for (const [status, reason, code] of [
      [401, 'Unauthorized', 'MNOPS_CORE_UNAUTHENTICATED'],
      [403, 'Forbidden', 'MNOPS_CORE_ACCESS_DENIED'],
      [422, 'Invalid', 'MNOPS_CORE_CONFIG_INVALID'],
      [503, 'ServiceUnavailable', 'MNOPS_CORE_UNAVAILABLE'],
      [410, 'Expired', 'MNOPS_CORE_CONFLICT'],
    ] as const) {
      refused(status, reason);
      const error = await kubernetes.get(secrets, { name: 'a' }, call).catch((caught: unknown) => caught);
      expect(error).toMatchObject({ code, details: { reason } });
      expect(inspect(error, { depth: 9 })).not.toContain('quoted-value');
    }
    refused(429, 'TooManyRequests', { 'retry-after': '3' });
    const throttled = kubernetes.get(secrets, { name: 'a' }, call);
    await expect(throttled).rejects.toMatchObject({ code: 'MNOPS_CORE_THROTTLED', retryAfterMs: 3_000 });
    refused(403, 'Forbidden');
    const maps = { ...secrets, plural: 'configmaps' };
    const said = kubernetes.get(maps, { name: 'a' }, call);
    await expect(said).rejects.toMatchObject({ details: { said: 'quoted-value' } });
  });
});

describe('credentials', () => {
  it('reads a token file again when it is a minute old, and at once when the token is refused', async () => {
    const clock = fakeClock();
    const tokenFile = join(folder, 'token');
    const sent = () => fake.requests.map(({ headers }) => headers['authorization']);
    writeFileSync(tokenFile, 'one\n');
    const kubernetes = client({ access: { server: fake.url, tokenFile }, clock });
    await kubernetes.get(secrets, { name: 'a' }, call);
    writeFileSync(tokenFile, 'two');
    await kubernetes.get(secrets, { name: 'a' }, call);
    await clock.advance(60_000);
    await kubernetes.get(secrets, { name: 'a' }, call);
    expect(sent()).toEqual(['Bearer one', 'Bearer one', 'Bearer two']);
    writeFileSync(tokenFile, 'three');
    fake.tokens.add('three');
    await kubernetes.get(secrets, { name: 'a' }, call);
    expect(sent().slice(3)).toEqual(['Bearer two', 'Bearer three']);
  });

  it('refuses to send credentials in the clear, and an authority beside no check at all', async () => {
    for (const access of [
      { server: 'http://example.test', token: 'x' },
      { server: 'https://user:secret@example.test' },
      { server: 'https://example.test', insecureSkipTlsVerify: true, ca: 'x' },
      { server: 'not an address' },
    ]) {
      const found = client({ access }).get(secrets, { name: 'a' }, call);
      await expect(found).rejects.toMatchObject({ code: 'MNOPS_CORE_CONFIG_INVALID' });
    }
  });

  it('says what is wrong with its options', () => {
    const wrong = { access: { server: fake.url }, pageSize: 0, patience: 1 } as never;
    expect(() => kubernetesClient(wrong)).toThrow(/pageSize[\s\S]*patience/);
  });
});

describe('watch', () => {
  async function collected(
    kubernetes: KubernetesClient,
    options: Parameters<KubernetesClient['watch']>[1] = {},
  ): Promise<{ seen: string[]; events: KubernetesWatchEvent<unknown>[]; end: () => Promise<unknown> }> {
    const watching = testCall();
    const seen: string[] = [];
    const events: KubernetesWatchEvent<unknown>[] = [];
    const run = (async () => {
      for await (const event of kubernetes.watch(secrets, options, watching)) {
        events.push(event);
        if (event.type === 'listed') seen.push(`listed ${event.items.map(({ metadata }) => metadata.name).join(' ')}`);
        else seen.push(`${event.type} ${event.object.metadata.name}`);
      }
    })();
    run.catch(() => undefined);
    return {
      seen,
      events,
      end: () => {
        watching.abort();
        return run;
      },
    };
  }

  it('lists first, then tells changes in order, and ends quietly', async () => {
    await create('a');
    const { seen, end } = await collected(client());
    await eventually(() => fake.watches() === 1);
    await create('b');
    await client().delete(secrets, { name: 'a' }, {}, call);
    await eventually(() => expect(seen).toEqual(['listed a', 'added b', 'deleted a']));
    expect(await end()).toBeUndefined();
  });

  it('goes on after cuts of every kind without a gap or a repetition', async () => {
    const { seen, end } = await collected(client());
    await eventually(() => fake.watches() === 1);
    for (const [index, abruptly] of [false, true, false, true].entries()) {
      await create(`a${index}`);
      await eventually(() => seen.length === index * 2 + 2);
      fake.cutWatches(abruptly);
      await create(`b${index}`);
      await eventually(() => seen.length === index * 2 + 3);
      await eventually(() => fake.watches() === 1);
    }
    expect(seen).toEqual(['listed ', ...[0, 1, 2, 3].flatMap((index) => [`added a${index}`, `added b${index}`])]);
    await end();
  });

  it('lists anew when the server has forgotten the version, by status or by event', async () => {
    const { seen, end } = await collected(client());
    await eventually(() => fake.watches() === 1);
    await create('a');
    await eventually(() => seen.length === 2);
    fake.cutWatches();
    fake.next([{ status: 503, body: {} }]);
    await create('b').catch(() => create('b'));
    fake.compact();
    await eventually(() => expect(seen.at(-1)).toBe('listed a b'));
    await eventually(() => fake.watches() === 1);
    fake.sendRaw(`${JSON.stringify({ type: 'ERROR', object: { kind: 'Status', code: 410, reason: 'Expired' } })}\n`);
    await eventually(() => expect(seen.filter((line) => line === 'listed a b').length).toBe(2));
    await end();
  });

  it('puts lines together that come in pieces, remembers bookmarks, and drops a line that was cut', async () => {
    const { seen, end } = await collected(client());
    await eventually(() => fake.watches() === 1);
    const line = Buffer.from(
      `${JSON.stringify({ type: 'ADDED', object: { metadata: { name: 'ü', resourceVersion: '77' } } })}\n`,
    );
    for (const byte of line) fake.sendRaw(Buffer.from([byte]));
    await eventually(() => seen.length === 2);
    fake.sendRaw(
      `${JSON.stringify({ type: 'BOOKMARK', object: { metadata: { resourceVersion: '99' } } })}\n{"type":"ADDED","obj`,
    );
    fake.cutWatches();
    await eventually(() => expect(fake.requests.at(-1)?.url).toContain('resourceVersion=99'));
    expect(seen.length).toBe(2);
    await end();
  });

  it('takes silence for a dead connection and makes a new one', async () => {
    const { end } = await collected(client(), { idleTimeoutMs: 50 });
    await eventually(() => fake.requests.filter(({ url }) => url.includes('watch=true')).length >= 3);
    await end();
  });

  it('waits longer each time against a server that ends every watch at once', async () => {
    const clock = fakeClock();
    const { end } = await collected(client({ clock, random: () => 1 }));
    const opened = () => fake.requests.filter(({ url }) => url.includes('watch=true')).length;
    for (const waitMs of [400, 800, 1_600]) {
      await eventually(() => fake.watches() === 1);
      const before = opened();
      fake.cutWatches();
      await eventually(() => clock.pending > 0);
      await clock.advance(waitMs - 1);
      expect(opened()).toBe(before);
      await clock.advance(1);
      await eventually(() => opened() === before + 1);
    }
    await end();
  });

  it('ends with the error when it may not watch, and when it never may again', async () => {
    fake.next({ status: 403, body: {} });
    const first = client().watch(secrets, {}, testCall());
    await expect(first.next()).rejects.toMatchObject({ code: 'MNOPS_CORE_ACCESS_DENIED' });
    const clock = fakeClock();
    const { end, seen } = await collected(client({ clock }));
    const afterWaits = (condition: () => boolean) =>
      eventually(async () => {
        await clock.advance(30_000);
        return condition();
      });
    await eventually(() => fake.watches() === 1);
    fake.next([
      { status: 403, body: {} },
      { status: 401, body: {} },
    ]);
    fake.cutWatches();
    await afterWaits(() => fake.watches() === 1);
    await create('a');
    await eventually(() => seen.includes('added a'));
    fake.next(Array.from({ length: 6 }, () => ({ status: 403, body: {} })));
    fake.cutWatches();
    await afterWaits(() => fake.requests.filter(({ url }) => url.includes('watch=true')).length >= 10);
    await expect(end()).rejects.toMatchObject({ code: 'MNOPS_CORE_ACCESS_DENIED' });
  });

  it('refuses an event over its cap', async () => {
    const { end, seen } = await collected(client({ maxBytes: 1_000 }));
    await eventually(() => fake.watches() === 1);
    fake.sendRaw('x'.repeat(2_000));
    await eventually(() => fake.watches() === 0);
    expect(seen.length).toBe(1);
    await expect(end()).rejects.toMatchObject({ code: 'MNOPS_CORE_TOO_LARGE' });
  });
});
