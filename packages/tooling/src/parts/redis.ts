import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { findOnPath, type Part } from './part.js';
import { askProgram } from './program.js';
import { type RunningServer, startServer } from './server.js';

/** A running Redis that keeps nothing but its users. */
export interface RedisServer extends Omit<RunningServer, 'url'> {
  readonly host: string;
  /** The user that may do everything. */
  readonly user: string;
  readonly password: string;
  /** The users as its file has them: what a restart would know. */
  savedUsers(): string;
}

/** How it is started. */
export interface RedisStart {
  /** Where users are kept: a file of their own, the configuration file, or nowhere. Default `acl-file`. */
  readonly users?: 'acl-file' | 'configuration' | 'nowhere' | undefined;
}

/** Redis from the system's packages. */
export interface RedisPart extends Part {
  readonly id: 'redis';
  /** Path of `redis-server`; empty when it is not available. */
  readonly path: string;
  start(options?: RedisStart): Promise<RedisServer>;
}

export function redis(): RedisPart {
  const path = findOnPath('redis-server') ?? '';
  return {
    id: 'redis',
    purpose: 'secrets: rotation of ACL users',
    available: path !== '',
    get version() {
      return path === '' ? undefined : askProgram(path, ['--version'], /v=(\d+\.\d+\.\d+)/);
    },
    installLine: 'apt-get install -y redis-server',
    path,
    start: (options) => start(path, options),
  };
}

async function start(path: string, { users = 'acl-file' }: RedisStart = {}): Promise<RedisServer> {
  const host = '127.0.0.1';
  const user = 'default';
  const password = randomBytes(12).toString('hex');
  const line = `user ${user} on >${password} ~* &* +@all\n`;
  const fileOf = (folder: string): string => join(folder, users === 'acl-file' ? 'users.acl' : 'redis.conf');
  const server = await startServer({
    id: 'redis',
    program: path,
    args: ({ port, folder }) => [
      ...(users === 'configuration' ? [fileOf(folder)] : []),
      ...(users === 'acl-file' ? ['--aclfile', fileOf(folder)] : []),
      ...(users === 'nowhere' ? ['--requirepass', password] : []),
      ...['--bind', host, '--port', String(port), '--dir', folder, '--save', '', '--appendonly', 'no'],
    ],
    prepare: async (folder) => writeFileSync(fileOf(folder), line, { mode: 0o600 }),
    readyPath: ({ port }) => answers(host, port),
  });
  const { url: _, ...rest } = server;
  return { ...rest, host, user, password, savedUsers: () => readFileSync(fileOf(server.folder), 'utf8') };
}

/** Whether it answers a ping, if only to ask for a password. */
function answers(host: string, port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port });
    socket.setTimeout(2_000, () => socket.destroy(new Error('no answer')));
    socket.once('connect', () => socket.write('PING\r\n'));
    socket.once('data', (data) => {
      socket.destroy();
      resolve(/^(?:\+PONG|-NOAUTH)/.test(data.toString('latin1')));
    });
    socket.once('error', reject);
  });
}
