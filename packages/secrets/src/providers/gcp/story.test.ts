import { SecretManagerServiceClient } from '@google-cloud/secret-manager';
import { MnopsError } from '@mnops/core';
import type { SecretProvider } from '@mnops/core/spi';
import { testCall } from '@mnops/core/testing';
import { OAuth2Client } from 'google-auth-library';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { crc32c } from './crc32c.js';
import { type GcpFake, gcpFake } from './gcp.fake.js';
import { gcpSecretManager } from './index.js';
import { secretIdOf } from './secret-name.js';

/** What both clients can do, in terms of neither. */
interface Teller {
  create(path: string, value: string): Promise<string>;
  add(path: string, value: string, stage: 'current' | 'pending'): Promise<string>;
  read(path: string, at: string): Promise<string>;
  promote(path: string, version: string): Promise<void>;
  stages(path: string): Promise<Readonly<Record<string, string>>>;
  states(path: string): Promise<readonly string[]>;
  paths(): Promise<readonly string[]>;
  disable(path: string, version: string): Promise<void>;
  enable(path: string, version: string): Promise<void>;
  destroy(path: string, version: string): Promise<void>;
  remove(path: string): Promise<void>;
}

/** The same events for either client; failures are part of it. */
async function story(teller: Teller): Promise<readonly unknown[]> {
  const told: unknown[] = [];
  const tell = async (event: Promise<unknown>): Promise<void> =>
    void told.push(await event.catch((error: unknown) => `refused: ${String(error)}`));
  await tell(teller.read('db/login', 'current'));
  await tell(teller.create('db/login', 'one'));
  await tell(teller.create('db/login', 'again'));
  await tell(teller.create('api_key', 'k'));
  await tell(teller.add('db/login', 'two', 'current'));
  await tell(teller.add('db/login', 'three ✓', 'pending'));
  for (const at of ['1', '2', '3', '9', 'current', 'previous', 'pending']) await tell(teller.read('db/login', at));
  await tell(teller.stages('db/login'));
  await tell(teller.promote('db/login', '3'));
  await tell(teller.stages('db/login'));
  await tell(teller.read('db/login', 'current'));
  await tell(teller.paths());
  await tell(teller.disable('db/login', '2'));
  await tell(teller.read('db/login', '2'));
  await tell(teller.enable('db/login', '2'));
  await tell(teller.read('db/login', '2'));
  await tell(teller.destroy('db/login', '1'));
  await tell(teller.read('db/login', '1'));
  await tell(teller.states('db/login'));
  await tell(teller.remove('db/login'));
  await tell(teller.read('db/login', 'current'));
  await tell(teller.create('db/login', 'anew'));
  return told;
}

function ours(provider: SecretProvider): Teller {
  const call = testCall();
  const put = async (path: string, value: string, stages: string[], ifVersion?: null): Promise<string> => {
    const token = `${path} ${value}`;
    return (await provider.put(path, Buffer.from(value), { token, stages, ifVersion }, call)).version;
  };
  const named = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (error) {
      if (MnopsError.is(error, 'MNOPS_CORE_CONFLICT')) throw 'exists';
      if (MnopsError.is(error, 'MNOPS_SECRETS_VERSION_UNAVAILABLE')) throw error.details?.['state'];
      throw error;
    }
  };
  return {
    create: (path, value) => named(put(path, value, ['current'], null)),
    add: (path, value, stage) => named(put(path, value, [stage])),
    read: (path, at) =>
      named(
        (async () => {
          const stored = await provider.get(path, /^\d+$/.test(at) ? { version: at } : { stage: at }, call);
          if (stored === undefined) throw 'absent';
          return Buffer.from(stored.value).toString();
        })(),
      ),
    promote: async (path, version) => {
      const record = await provider.describe(path, call);
      await provider.setStage?.(path, 'current', { from: record?.version ?? null, to: version }, call);
    },
    stages: async (path) => ({ ...(await provider.describe(path, call))?.stages }),
    states: async (path) => {
      const states: string[] = [];
      for await (const { version, state } of provider.listVersions(path, call)) states.push(`${version} ${state}`);
      return states;
    },
    paths: async () => {
      const paths: string[] = [];
      for await (const { path } of provider.list('', call)) paths.push(path);
      return paths;
    },
    disable: (path, version) => provider.delete(path, { versions: [version] }, call),
    enable: async (path, version) => provider.restore?.(path, { versions: [version] }, call),
    destroy: (path, version) => provider.delete(path, { versions: [version], permanent: true }, call),
    remove: (path) => provider.delete(path, { permanent: true }, call),
  };
}

function official(client: SecretManagerServiceClient, project: string): Teller {
  const parent = `projects/${project}`;
  const nameOf = (path: string): string => `${parent}/secrets/${secretIdOf(path)}`;
  const numberOf = (name: string | null | undefined): string => /\d+$/.exec(name ?? '')?.[0] ?? '';
  const reasons: Readonly<Record<string, string>> = { NOT_FOUND: 'absent', ALREADY_EXISTS: 'exists' };
  const states: Readonly<Record<string, string>> = { DISABLED: 'deleted', DESTROYED: 'destroyed' };
  const named = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (error) {
      const { message } = error as Error;
      const state = states[/is in (\w+) state/.exec(message)?.[1] ?? ''];
      throw state ?? reasons[statusIn(message)] ?? error;
    }
  };
  const stages = async (path: string): Promise<Record<string, string>> => {
    const [{ versionAliases }] = await client.getSecret({ name: nameOf(path) });
    return Object.fromEntries(Object.entries(versionAliases ?? {}).map(([alias, version]) => [alias, String(version)]));
  };
  const point = async (path: string, aliases: Record<string, string>): Promise<void> => {
    const [{ etag }] = await client.getSecret({ name: nameOf(path) });
    await client.updateSecret({
      secret: { name: nameOf(path), etag: etag ?? null, versionAliases: aliases as never },
      updateMask: { paths: ['version_aliases'] },
    });
  };
  const add = async (path: string, value: string, stage: 'current' | 'pending'): Promise<string> => {
    const data = Buffer.from(value);
    const payload = { data, dataCrc32c: crc32c(data) };
    const [added] = await client.addSecretVersion({ parent: nameOf(path), payload });
    expect(added.clientSpecifiedPayloadChecksum).toBe(true);
    const { current, ...rest } = await stages(path);
    const moved = stage === 'current' && current !== undefined ? { previous: current } : {};
    const kept = current === undefined ? {} : { current };
    await point(path, { ...kept, ...rest, ...moved, [stage]: numberOf(added.name) });
    return numberOf(added.name);
  };
  return {
    create: (path, value) =>
      named(
        client
          .createSecret({ parent, secretId: secretIdOf(path), secret: { replication: { automatic: {} } } })
          .then(() => add(path, value, 'current')),
      ),
    add,
    read: (path, at) =>
      named(
        client.accessSecretVersion({ name: `${nameOf(path)}/versions/${at}` }).then(([{ payload }]) => {
          expect(Number(payload?.dataCrc32c)).toBe(crc32c(payload?.data as Uint8Array));
          return Buffer.from(payload?.data as Uint8Array).toString();
        }),
      ),
    promote: async (path, version) => {
      const { current = '' } = await stages(path);
      await point(path, { current: version, previous: current });
    },
    stages,
    states: async (path) => {
      const [versions] = await client.listSecretVersions({ parent: nameOf(path) });
      const words: Readonly<Record<string, string>> = {
        ENABLED: 'enabled',
        DISABLED: 'deleted',
        DESTROYED: 'destroyed',
      };
      return versions.map(({ name, state }) => `${numberOf(name)} ${words[String(state)]}`);
    },
    paths: async () => {
      const [secrets] = await client.listSecrets({ parent });
      return secrets.map(({ name }) => (name?.split('/').at(-1) ?? '').replace('__', '/')).sort();
    },
    disable: async (path, version) =>
      void (await client.disableSecretVersion({ name: `${nameOf(path)}/versions/${version}` })),
    enable: async (path, version) =>
      void (await client.enableSecretVersion({ name: `${nameOf(path)}/versions/${version}` })),
    destroy: async (path, version) =>
      void (await client.destroySecretVersion({ name: `${nameOf(path)}/versions/${version}` })),
    remove: async (path) => void (await client.deleteSecret({ name: nameOf(path) })),
  };
}

/** Google's status in an error of its REST transport. */
function statusIn(message: string): string {
  return /"status":"(\w+)"/.exec(message)?.[1] ?? message;
}

describe("Google's own client and gcpSecretManager on one fake", () => {
  let fake: GcpFake;
  let client: SecretManagerServiceClient;
  beforeEach(async () => {
    fake = await gcpFake({ pageSize: 2 });
    const authClient = new OAuth2Client();
    authClient.setCredentials({ access_token: fake.accessToken });
    const { hostname, port } = new URL(fake.url);
    client = new SecretManagerServiceClient({
      fallback: true,
      protocol: 'http',
      apiEndpoint: hostname,
      port: Number(port),
      authClient: authClient as never,
      projectId: fake.project,
    });
  });
  afterEach(async () => {
    await client.close();
    await fake.close();
  });

  it('tell the same story', async () => {
    const theirs = await story(official(client, fake.project));
    fake.secrets.clear();
    const { project, accessToken, url: endpoint } = fake;
    const provider = gcpSecretManager({ project, accessToken, endpoint });
    expect(await story(ours(provider))).toEqual(theirs);
    await provider.close?.(testCall());
    expect(theirs).toEqual([
      'refused: absent',
      '1',
      'refused: exists',
      '1',
      '2',
      '3',
      ...['one', 'two', 'three ✓', 'refused: absent', 'two', 'one', 'three ✓'],
      { current: '2', previous: '1', pending: '3' },
      undefined,
      { current: '3', previous: '2' },
      'three ✓',
      ['api_key', 'db/login'],
      undefined,
      'refused: deleted',
      undefined,
      'two',
      undefined,
      'refused: destroyed',
      ['3 enabled', '2 enabled', '1 destroyed'],
      undefined,
      'refused: absent',
      '1',
    ]);
  });

  it('read what the other wrote, and refuse an outdated etag', async () => {
    const { project, accessToken, url: endpoint } = fake;
    const provider = gcpSecretManager({ project, accessToken, endpoint });
    const name = `projects/${project}/secrets/FROM_CONSOLE`;
    const secret = { replication: { automatic: {} }, labels: { team: 'a' }, annotations: { owner: 'ops' } };
    await client.createSecret({ parent: `projects/${project}`, secretId: 'FROM_CONSOLE', secret });
    for (const value of ['old', 'new'])
      await client.addSecretVersion({ parent: name, payload: { data: Buffer.from(value) } });
    const stored = await provider.get('FROM_CONSOLE', {}, testCall());
    expect(stored && Buffer.from(stored.value).toString()).toBe('new');
    expect(stored).toMatchObject({ version: '2', stages: ['current'] });
    expect(await provider.describe('FROM_CONSOLE', testCall())).toMatchObject({ version: '2', tags: { team: 'a' } });

    const before = (await client.getSecret({ name }))[0].etag;
    const put = { token: 't', stages: ['current'] };
    expect(await provider.put('FROM_CONSOLE', Buffer.from('ours'), put, testCall())).toMatchObject({ version: '3' });
    const [after] = await client.getSecret({ name });
    expect(after.versionAliases).toEqual({ current: '3', previous: '2' });
    expect(after.annotations).toMatchObject({ owner: 'ops' });
    expect(after.labels).toEqual({ team: 'a' });
    const [{ payload }] = await client.accessSecretVersion({ name: `${name}/versions/current` });
    expect(Buffer.from(payload?.data as Uint8Array).toString()).toBe('ours');
    const outdated = client.updateSecret({
      secret: { name, etag: before ?? null, labels: {} },
      updateMask: { paths: ['labels'] },
    });
    await expect(outdated).rejects.toSatisfy((error: Error) => statusIn(error.message) === 'ABORTED');
    await provider.close?.(testCall());
  });
});
