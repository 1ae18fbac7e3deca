import { createHash, randomBytes } from 'node:crypto';
import { rotatorContract } from '@mnops/core/testing';
import { partSuite, type RedisServer } from '@mnops/tooling/parts';
import { createClient } from 'redis';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { SecretsManager } from '../secrets-manager.js';
import { managerOf } from './fixtures/rotated-login.js';
import { tcpGate } from './fixtures/tcp-gate.js';
import { type RedisAclUserOptions, redisAclUser } from './redis-acl-user.js';

type Credentials = { readonly user: string; readonly password: string };

async function openAt({ user: username, password }: Credentials, port: number, RESP: 2 | 3 = 2) {
  const socket = { host: '127.0.0.1', port, reconnectStrategy: false as const };
  const client = createClient({ username, password, socket, RESP });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

partSuite({ describe, it }, 'redis', 'redisAclUser', (redis) => {
  let server: RedisServer;
  const managers: SecretsManager[] = [];
  let names = 0;

  beforeAll(async () => {
    server = await redis.start();
  });
  afterAll(() => server?.stop());
  afterEach(async () => {
    for (const secrets of managers.splice(0)) await secrets.stop();
  });

  const open = (login: Credentials) => openAt(login, server.port);
  const admin = (at = server): string => JSON.stringify({ username: at.user, password: at.password });
  const asAdmin = (more: Partial<RedisAclUserOptions> = {}) =>
    redisAclUser({ connect: open, admin: 'db/admin', ...more });

  async function command(at: Pick<RedisServer, 'user' | 'password' | 'port'>, ...words: string[]): Promise<unknown> {
    const client = await openAt(at, at.port);
    try {
      return await client.sendCommand(words);
    } finally {
      client.destroy();
    }
  }

  async function newUser(at = server, ...rules: string[]): Promise<Credentials> {
    names += 1;
    const login = { user: `app${names}é`, password: randomBytes(9).toString('base64url') };
    await command(at, 'ACL', 'SETUSER', login.user, 'on', `>${login.password}`, ...rules);
    return login;
  }

  async function accepts(text: string, at = server): Promise<boolean> {
    try {
      (await openAt(JSON.parse(text) as Credentials, at.port)).destroy();
      return true;
    } catch (error) {
      expect(String(error)).toMatch(/WRONGPASS/);
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

  for (const RESP of [2, 3] as const) {
    rotatorContract({ describe, it }, `Redis, protocol ${RESP}`, async () => {
      const gate = await tcpGate(server);
      return {
        provider: redisAclUser({ connect: (login) => openAt(login, gate.port, RESP), admin: 'contract/admin' }),
        current: Buffer.from(JSON.stringify(await newUser())),
        admin: Buffer.from(admin()),
        accepts: (value: Uint8Array) => accepts(Buffer.from(value).toString()),
        breakTarget: async () => gate.drop(),
        close: () => gate.close(),
      };
    });
  }

  it('keeps two passwords through the grace, and saves each change without ever sending one', async () => {
    const login = JSON.stringify(await newUser(server, '~*', '+@all'));
    const sent: string[] = [];
    const connect = async (as: Credentials) => {
      const client = await open(as);
      const sendCommand = (words: string[]): Promise<unknown> => {
        sent.push(words.join(' '));
        return client.sendCommand(words);
      };
      return { sendCommand, close: () => client.destroy() };
    };
    const secrets = manage(asAdmin({ connect }), { login, admin: admin() }, { graceMs: 3_600_000 });
    const values = [login];
    for (let turn = 1; turn <= 3; turn += 1) {
      await secrets.rotation.rotate('db/login', { endGrace: true });
      values.push(await current(secrets));
      expect(await Promise.all(values.map((value) => accepts(value)))).toEqual(values.map((_, at) => at >= turn - 1));
    }
    expect(sent.filter((line) => line.startsWith('ACL SETUSER'))).toHaveLength(5);
    const digests = values.map((value) =>
      createHash('sha256')
        .update((JSON.parse(value) as Credentials).password)
        .digest('hex'),
    );
    const saved =
      server
        .savedUsers()
        .split('\n')
        .find((line) => line.startsWith(`user app${names}é `)) ?? '';
    expect(digests.map((each) => saved.includes(each))).toEqual([false, false, true, true]);
    for (const value of values) expect(sent.join('\n')).not.toContain((JSON.parse(value) as Credentials).password);
  });

  it('lets a user in that may do next to nothing', async () => {
    const login = JSON.stringify(await newUser(server, '-@all'));
    const secrets = manage(asAdmin(), { login, admin: admin() });
    for (let turn = 0; turn < 3; turn += 1) await secrets.rotation.rotate('db/login');
    expect([await accepts(login), await accepts(await current(secrets))]).toEqual([false, true]);
  });

  it.each(['configuration', 'nowhere'] as const)('saves where the server keeps its users: %s', async (users) => {
    const other = await redis.start({ users });
    try {
      const login = JSON.stringify(await newUser(other));
      const connect = (as: Credentials) => openAt(as, other.port);
      const secrets = manage(asAdmin({ connect }), { login, admin: admin(other) });
      await secrets.rotation.rotate('db/login');
      const { password } = JSON.parse(await current(secrets)) as Credentials;
      const digest = createHash('sha256').update(password).digest('hex');
      if (users === 'configuration') expect(other.savedUsers()).toContain(digest);
      expect([await accepts(login, other), await accepts(await current(secrets), other)]).toEqual([false, true]);
    } finally {
      await other.stop();
    }
  });

  it('reports an admin without rights, a user that is not there, and one that needs no password', async () => {
    const weak = JSON.stringify(await newUser(server, '-@all'));
    const login = JSON.stringify(await newUser());
    const secrets = manage(asAdmin(), { login, admin: weak });
    await expect(secrets.rotation.rotate('db/login')).rejects.toMatchObject({
      details: { code: 'MNOPS_CORE_ACCESS_DENIED' },
    });
    expect([await current(secrets), await accepts(login)]).toEqual([login, true]);
    await secrets.put('db/admin', admin());
    await secrets.rotation.resume('db/login');
    await secrets.rotation.rotate('db/login');
    expect([await accepts(login), await accepts(await current(secrets))]).toEqual([false, true]);

    const absent = manage(asAdmin(), { login: '{"user":"nobody","password":"hunter2"}', admin: admin() });
    await expect(absent.rotation.rotate('db/login')).rejects.toMatchObject({
      details: { code: 'MNOPS_CORE_NOT_FOUND' },
    });
    await command(server, 'ACL', 'SETUSER', 'open', 'on', 'nopass');
    const lax = manage(asAdmin(), { login: '{"user":"open","password":"hunter2"}', admin: admin() });
    await expect(lax.rotation.rotate('db/login')).rejects.toMatchObject({ details: { code: 'MNOPS_CORE_CONFLICT' } });
  });

  it('refuses to change the user that it changes with, and a connect that logs in as somebody else', async () => {
    const own = manage(asAdmin(), { login: admin(), admin: admin() });
    await expect(own.rotation.rotate('db/login')).rejects.toMatchObject({
      details: { code: 'MNOPS_SECRETS_VALUE_INVALID' },
    });
    const login = JSON.stringify(await newUser());
    const connect = () => open({ user: server.user, password: server.password });
    const other = manage(asAdmin({ connect }), { login, admin: admin() });
    await expect(other.rotation.rotate('db/login')).rejects.toMatchObject({ details: { step: 'verify' } });
    expect(await accepts(login)).toBe(true);
  });

  it('goes on with what was begun when the server comes back', async () => {
    for (const step of ['pending-stored', 'applied', 'grace-recorded']) {
      const gate = await tcpGate(server);
      const login = JSON.stringify(await newUser());
      const secrets = manage(asAdmin({ connect: (as) => openAt(as, gate.port) }), { login, admin: admin() });
      secrets.on('rotation:advanced', (event) => event.step === step && gate.drop());
      await expect(secrets.rotation.rotate('db/login')).rejects.toMatchObject({
        details: { code: 'MNOPS_CORE_UNAVAILABLE' },
      });
      gate.lift();
      await secrets.rotation.resume('db/login');
      const now = await current(secrets);
      expect([await accepts(now), await accepts(login)]).toEqual([true, now === login]);
      await gate.close();
    }
  });
});
