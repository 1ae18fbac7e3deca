import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { get } from 'node:https';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { dataFolder, dataSuite, freePort, partSuite, runProgram, type SuiteRunner, startServer } from './index.js';

afterEach(() => {
  vi.unstubAllEnvs();
});

function recordingRunner(): { readonly runner: SuiteRunner; readonly seen: string[]; readonly bodies: (() => void)[] } {
  const seen: string[] = [];
  const bodies: (() => void)[] = [];
  const run = (name: string, body: () => void): void => {
    seen.push(`run ${name}`);
    body();
  };
  const skip = (name: string): void => {
    seen.push(`skip ${name}`);
  };
  const it = (name: string, body: () => void): void => {
    seen.push(`it ${name}`);
    bodies.push(body);
  };
  return { runner: { describe: Object.assign(run, { skip }), it }, seen, bodies };
}

describe('partSuite', () => {
  it('skips under a name with the install line when the part is absent', () => {
    vi.stubEnv('PATH', '');
    vi.stubEnv('MNOPS_REQUIRE_PARTS', '');
    const { runner, seen } = recordingRunner();
    partSuite(runner, 'restic', 'repository', () => expect.unreachable());
    expect(seen).toEqual(['skip repository (restic is not on this machine: apt-get install -y restic)']);
  });

  it('fails when the part is absent but required', () => {
    vi.stubEnv('PATH', '');
    vi.stubEnv('MNOPS_REQUIRE_PARTS', 'moto, restic');
    const { runner, seen, bodies } = recordingRunner();
    partSuite(runner, 'restic', 'repository', () => expect.unreachable());
    expect(seen[0]).toBe('run repository');
    expect(() => bodies[0]?.()).toThrow(/restic is not on this machine/);
  });
});

describe('dataSuite', () => {
  it('hands over the folder when it is there and skips when it is not', () => {
    const folder = mkdtempSync(join(tmpdir(), 'mnops-data-'));
    vi.stubEnv('MNOPS_TEST_DATA', join(folder, '..'));
    const name = folder.slice(folder.lastIndexOf('/') + 1);
    const { runner, seen } = recordingRunner();
    dataSuite(runner, name, 'vectors', (path) => expect(path).toBe(folder));
    rmSync(folder, { recursive: true });
    expect(dataFolder(name)).toBeUndefined();
    vi.stubEnv('MNOPS_REQUIRE_PARTS', '');
    dataSuite(runner, name, 'vectors', () => expect.unreachable());
    expect(seen[0]).toBe('run vectors');
    expect(seen[1]).toMatch(/^skip vectors \(no folder/);
  });
});

describe('startServer', () => {
  const script = `require('node:http').createServer((_, answer) => answer.end('up')).listen(Number(process.argv[1]), '127.0.0.1')`;

  it('waits until the server answers, and leaves neither process nor folder behind', async () => {
    const server = await startServer({
      id: 'echo',
      program: process.execPath,
      args: ({ port }) => ['-e', script, String(port)],
      readyPath: '/',
    });
    expect(await (await fetch(server.url)).text()).toBe('up');
    await Promise.all([server.stop(), server.stop()]);
    expect(existsSync(server.folder)).toBe(false);
    expect(() => process.kill(server.pid, 0)).toThrow(/ESRCH/);
  });

  it('says what a server printed that ended at once', async () => {
    const args = (): string[] => ['-e', 'console.error("no such luck"); process.exit(3)'];
    const started = startServer({ id: 'broken', program: process.execPath, args, readyPath: '/' });
    await expect(started).rejects.toThrow(/no such luck/);
  });
});

it('runs a program with input and environment to its end', async () => {
  const script =
    'process.stdin.on("data", (d) => process.stdout.write(process.env.GREETING + d)).on("end", () => process.exit(4))';
  const result = await runProgram(process.execPath, ['-e', script], { input: ' world', env: { GREETING: 'hello' } });
  expect(result).toEqual({ code: 4, stdout: 'hello world', stderr: '' });
});

it('finds a free port', async () => {
  const server = createServer();
  const port = await freePort();
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  expect((server.address() as AddressInfo).port).toBe(port);
  server.close();
});

partSuite({ describe, it }, 'prometheus', 'prometheus part', (prometheus) => {
  it('starts a server that answers queries', async () => {
    const server = await prometheus.start();
    try {
      expect((await server.query('1 + 1'))[0]?.value).toBe(2);
      expect((await server.query('vector(3)'))[0]?.value).toBe(3);
    } finally {
      await server.stop();
    }
  });
});

partSuite({ describe, it }, 'moto', 'moto part', (moto) => {
  it('starts and forgets on reset', async () => {
    const server = await moto.start();
    try {
      await server.reset();
      expect(moto.version).toMatch(/^\d/);
    } finally {
      await server.stop();
    }
  });
});

partSuite({ describe, it }, 'kubernetes', 'kubernetes part', (kubernetes) => {
  it('starts, keeps what was stored over a restart, and leaves nothing behind', { timeout: 120_000 }, async () => {
    const server = await kubernetes.start();
    try {
      const answer = async (path: string, token: string): Promise<number> =>
        await new Promise((resolve, reject) => {
          const options = {
            ca: readFileSync(server.caFile),
            agent: false,
            headers: { authorization: `Bearer ${token}` },
          };
          get(`${server.url}${path}`, options, (incoming) => {
            incoming.resume();
            resolve(incoming.statusCode ?? 0);
          }).on('error', reject);
        });
      const secrets = '/api/v1/namespaces/default/secrets';
      expect(await answer(secrets, server.tokens.admin)).toBe(200);
      expect(await answer(secrets, server.tokens.stranger)).toBe(403);
      expect(await answer(secrets, 'unknown')).toBe(401);
      await server.restart();
      expect(await answer(secrets, server.tokens.admin)).toBe(200);
    } finally {
      await server.stop();
    }
    expect(existsSync(server.folder)).toBe(false);
  });
});

partSuite({ describe, it }, 'restic', 'restic part', (restic) => {
  it('runs', async () => {
    const { code, stdout } = await restic.run(['version']);
    expect(code).toBe(0);
    expect(stdout).toContain(restic.version);
  });
});

partSuite({ describe, it }, 'postgres', 'postgres part', (postgres) => {
  it('starts for an unprivileged user, asks for the password, and leaves nothing behind', async () => {
    const server = await postgres.start();
    try {
      expect(await server.query('SELECT 1 + 1')).toBe('2');
      await expect(server.query('SELECT no_such_column')).rejects.toThrow(/no_such_column/);
      const stranger = ['-h', server.host, '-p', String(server.port), '-U', server.user, '-c', 'SELECT 1'];
      const refused = await runProgram(join(postgres.path, 'psql'), stranger, { env: { PGPASSWORD: 'wrong' } });
      expect(refused.code).not.toBe(0);
    } finally {
      await server.stop();
    }
    expect(existsSync(server.folder)).toBe(false);
  }, 60_000);
});

partSuite({ describe, it }, 'vault', 'vault part', (vault) => {
  it('starts unsealed with a root token of its own', async () => {
    const server = await vault.start();
    try {
      expect(await server.call('GET', 'sys/health')).toMatchObject({ sealed: false, version: vault.version });
      await server.call('POST', 'secret/data/a', { data: { b: 'c' } });
      expect(await server.call('GET', 'secret/data/a')).toMatchObject({ data: { data: { b: 'c' } } });
      expect(server.log()).not.toContain('panic');
    } finally {
      await server.stop();
    }
  }, 60_000);
});

partSuite({ describe, it }, 'redis', 'redis part', (redis) => {
  it.each(['acl-file', 'configuration', 'nowhere'] as const)('starts with its users in: %s', async (users) => {
    const server = await redis.start({ users });
    try {
      const answer = await new Promise<string>((resolve, reject) => {
        const socket = connect({ host: server.host, port: server.port });
        socket.once('error', reject);
        socket.write(`AUTH ${server.user} ${server.password}\r\n`);
        socket.once('data', (data) => {
          socket.destroy();
          resolve(data.toString());
        });
      });
      expect(answer).toBe('+OK\r\n');
    } finally {
      await server.stop();
    }
    expect(existsSync(server.folder)).toBe(false);
  });
});

partSuite({ describe, it }, 'mariadb', 'mariadb part', (mariadb) => {
  it('starts for an unprivileged user and leaves nothing behind', async () => {
    const server = await mariadb.start();
    try {
      expect(await server.query('SELECT 1 + 1')).toBe('2');
      await expect(server.query('SELECT no_such_column')).rejects.toThrow(/no_such_column/);
    } finally {
      await server.stop();
    }
    expect(existsSync(server.folder)).toBe(false);
  }, 60_000);
});

partSuite({ describe, it }, 'rabbitmq', 'rabbitmq part', (rabbitmq) => {
  it('starts with its management API, and leaves nothing behind', { timeout: 120_000 }, async () => {
    const server = await rabbitmq.start();
    try {
      const ask = (password: string): Promise<Response> =>
        fetch(`${server.url}/api/whoami`, {
          headers: { authorization: `Basic ${Buffer.from(`${server.user}:${password}`).toString('base64')}` },
        });
      expect(await (await ask(server.password)).json()).toMatchObject({ name: server.user });
      expect((await ask('wrong')).status).toBe(401);
    } finally {
      await server.stop();
    }
    expect(existsSync(server.folder)).toBe(false);
    expect(() => process.kill(server.pid, 0)).toThrow(/ESRCH/);
  });
});

partSuite({ describe, it }, 'zipkin', 'zipkin part', (zipkin) => {
  it('starts empty, and leaves nothing behind', { timeout: 240_000 }, async () => {
    const server = await zipkin.start();
    try {
      expect(await server.get('/api/v2/services')).toEqual([]);
      expect(await server.get('/api/v2/trace/000000000000000a')).toBeUndefined();
      await expect(server.get('/api/v2/dependencies')).rejects.toThrow(/400/);
    } finally {
      await server.stop();
    }
    expect(existsSync(server.folder)).toBe(false);
    expect(() => process.kill(server.pid, 0)).toThrow(/ESRCH/);
  });
});

partSuite({ describe, it }, 'ddapm', 'ddapm part', (ddapm) => {
  it('starts, judges what it is sent, and leaves nothing behind', { timeout: 120_000 }, async () => {
    const server = await ddapm.start();
    try {
      expect(ddapm.version).toMatch(/^\d/);
      expect(await server.failures()).toBe('');
      // Neither a count of traces nor the version of a tracer.
      const headers = { 'content-type': 'application/msgpack' };
      await (await fetch(`${server.url}/v0.4/traces`, { method: 'PUT', headers, body: Buffer.from([0x90]) })).text();
      expect(await server.failures()).toMatch(/header/i);
      expect(await server.get('/test/traces')).toEqual([]);
    } finally {
      await server.stop();
    }
    expect(existsSync(server.folder)).toBe(false);
  });
});
