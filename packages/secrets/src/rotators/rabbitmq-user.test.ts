import { randomBytes } from 'node:crypto';
import { rotatorContract } from '@mnops/core/testing';
import { partSuite, type RabbitmqServer } from '@mnops/tooling/parts';
import { connect } from 'amqplib';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { SecretsManager } from '../secrets-manager.js';
import { managerOf } from './fixtures/rotated-login.js';
import { tcpGate } from './fixtures/tcp-gate.js';
import { type RabbitmqUserOptions, rabbitmqUser } from './rabbitmq-user.js';

interface Credentials {
  readonly user: string;
  readonly password: string;
}

partSuite({ describe, it }, 'rabbitmq', 'rabbitmqUser', (rabbitmq) => {
  let server: RabbitmqServer;
  const managers: SecretsManager[] = [];
  let names = 0;

  beforeAll(async () => {
    server = await rabbitmq.start();
  }, 120_000);
  afterAll(() => server?.stop());
  afterEach(async () => {
    for (const secrets of managers.splice(0)) await secrets.stop();
  });

  const open = ({ user: username, password }: Credentials) =>
    connect({ protocol: 'amqp', hostname: server.host, port: server.amqpPort, username, password });
  const admin = (): string => JSON.stringify({ user: server.user, password: server.password });
  const asAdmin = (more: Partial<RabbitmqUserOptions> = {}) =>
    rabbitmqUser({ managementUrl: server.url, admin: 'db/admin', connect: open, ...more });

  async function api<T>(method: string, path: string, body?: unknown): Promise<T | undefined> {
    const response = await fetch(`${server.url}/api/${path}`, {
      method,
      headers: {
        authorization: `Basic ${Buffer.from(`${server.user}:${server.password}`).toString('base64')}`,
        'content-type': 'application/json',
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    expect(response.ok, `${method} ${path}: ${response.status} ${text}`).toBe(true);
    return text === '' ? undefined : (JSON.parse(text) as T);
  }

  async function newUser(tags = ''): Promise<Credentials> {
    names += 1;
    const login = { user: `app/é ${names}`, password: randomBytes(9).toString('base64url') };
    const name = encodeURIComponent(login.user);
    await api('PUT', `users/${name}`, { password: login.password, tags });
    await api('PUT', `permissions/%2F/${name}`, { configure: '^own', write: '.*', read: 'a|b' });
    return login;
  }

  async function accepts(text: string): Promise<boolean> {
    try {
      await (await open(JSON.parse(text) as Credentials)).close();
      return true;
    } catch (error) {
      expect(String(error)).toMatch(/ACCESS.REFUSED/);
      return false;
    }
  }

  function manage(...given: Parameters<typeof managerOf>): SecretsManager {
    const secrets = managerOf(...given);
    managers.push(secrets);
    return secrets;
  }
  const current = async (secrets: SecretsManager): Promise<string> =>
    (await secrets.getOrThrow('db/login', { maxAgeMs: 0 })).reveal();

  for (const [proof, tags] of [
    ['AMQP', ''],
    ['the management API', 'management'],
    ['the management API, without a tag', ''],
  ] as const) {
    rotatorContract({ describe, it }, `RabbitMQ, proved by ${proof}`, async () => {
      const gate = await tcpGate(server);
      const managementUrl = `http://127.0.0.1:${gate.port}/`;
      return {
        provider: rabbitmqUser({
          managementUrl,
          admin: 'contract/admin',
          ...(proof === 'AMQP' ? { connect: open } : {}),
        }),
        current: Buffer.from(JSON.stringify(await newUser(tags))),
        admin: Buffer.from(admin()),
        accepts: (value: Uint8Array) => accepts(Buffer.from(value).toString()),
        breakTarget: async () => gate.drop(),
        close: () => gate.close(),
      };
    });
  }

  it('takes turns between two users with the same rights, tags and limits', async () => {
    const login = await newUser('monitoring,management');
    const [name, clone] = [encodeURIComponent(login.user), encodeURIComponent(`${login.user}_clone`)];
    await api('PUT', `topic-permissions/%2F/${name}`, { exchange: 'amq.topic', write: '^a', read: '^b' });
    await api('PUT', `user-limits/${name}/max-connections`, { value: 9 });
    const first = JSON.stringify(login);
    const secrets = manage(asAdmin(), { login: first, admin: admin() }, { strategy: 'dual-user' });
    const seen = [first];
    for (let turn = 1; turn <= 4; turn += 1) {
      await secrets.rotation.rotate('db/login');
      seen.push(await current(secrets));
      const accepted: boolean[] = [];
      for (const value of seen) accepted.push(await accepts(value));
      expect(accepted).toEqual(seen.map((_, at) => at === turn));
    }
    const factsOf = async (user: string): Promise<string> => {
      const { tags } = (await api<{ tags: unknown }>('GET', `users/${user}`)) ?? { tags: undefined };
      const parts = [`users/${user}/permissions`, `users/${user}/topic-permissions`, `user-limits/${user}`];
      const rights = await Promise.all(parts.map((path) => api('GET', path)));
      return JSON.stringify([tags, ...rights]).replaceAll('_clone', '');
    };
    expect(await factsOf(clone)).toBe(await factsOf(name));
    expect(await factsOf(clone)).toMatch(/monitoring.*\^own.*amq\.topic.*max-connections":9/);
  });

  it('reports an admin without the tag and a user that is not there, and leaves the current login as it is', async () => {
    const weak = JSON.stringify(await newUser('management'));
    for (const strategy of ['single-user', 'dual-user'] as const) {
      const login = JSON.stringify(await newUser());
      const secrets = manage(asAdmin(), { login, admin: weak }, { strategy });
      await expect(secrets.rotation.rotate('db/login')).rejects.toMatchObject({
        details: { step: 'apply', code: 'MNOPS_CORE_UNAUTHENTICATED' },
      });
      expect([await current(secrets), await accepts(login)]).toEqual([login, true]);
      await secrets.put('db/admin', admin());
      await secrets.rotation.rotate('db/login');
      expect([await accepts(login), await accepts(await current(secrets))]).toEqual([false, true]);
    }
    const absent = manage(
      asAdmin(),
      { login: '{"user":"nobody","password":"hunter2"}', admin: admin() },
      { strategy: 'dual-user' },
    );
    await expect(absent.rotation.rotate('db/login')).rejects.toMatchObject({
      details: { code: 'MNOPS_CORE_NOT_FOUND' },
    });
  });

  it('goes on with what was begun when the broker comes back', async () => {
    for (const step of ['pending-stored', 'grace-recorded']) {
      const gate = await tcpGate(server);
      const login = JSON.stringify(await newUser());
      const rotator = asAdmin({ managementUrl: `http://127.0.0.1:${gate.port}` });
      const secrets = manage(rotator, { login, admin: admin() }, { strategy: 'dual-user' });
      secrets.on('rotation:advanced', (event) => event.step === step && gate.drop());
      await expect(secrets.rotation.rotate('db/login')).rejects.toMatchObject({
        details: { code: 'MNOPS_CORE_UNAVAILABLE' },
      });
      gate.lift();
      await secrets.rotation.resume('db/login');
      const now = await current(secrets);
      expect([await accepts(now), await accepts(login)], step).toEqual([true, now === login]);
      await gate.close();
    }
  });
});

describe('rabbitmqUser', () => {
  it.each(['http://broker:15672', 'https://a:b@broker', 'amqp://localhost'])('refuses %s', (managementUrl) => {
    expect(() => rabbitmqUser({ managementUrl, admin: 'db/admin' })).toThrow(/managementUrl/);
  });
});
