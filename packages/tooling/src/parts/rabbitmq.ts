import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { findOnPath, isProgram, type Part } from './part.js';
import { freePort, type RunningServer, startServer } from './server.js';

/** A running RabbitMQ; `url` is the address of its management API. */
export interface RabbitmqServer extends RunningServer {
  readonly host: string;
  /** Port of AMQP. */
  readonly amqpPort: number;
  /** The administrator. */
  readonly user: string;
  readonly password: string;
}

/** RabbitMQ from the system's packages. */
export interface RabbitmqPart extends Part {
  readonly id: 'rabbitmq';
  /** Path of the script `rabbitmq-server` that does not change the user; empty when it is not available. */
  readonly path: string;
  start(): Promise<RabbitmqServer>;
}

const packageFolder = '/usr/lib/rabbitmq/lib';

export function rabbitmq(): RabbitmqPart {
  const release = existsSync(packageFolder)
    ? readdirSync(packageFolder).find((name) => isProgram(join(packageFolder, name, 'sbin', 'rabbitmq-server')))
    : undefined;
  const isThere = release !== undefined && findOnPath('epmd') !== undefined;
  const path = isThere ? join(packageFolder, release, 'sbin', 'rabbitmq-server') : '';
  return {
    id: 'rabbitmq',
    purpose: 'secrets: rotation of RabbitMQ users',
    available: path !== '',
    version: path === '' ? undefined : /\d+\.\d+\.\d+/.exec(release ?? '')?.[0],
    installLine: 'apt-get install -y rabbitmq-server',
    path,
    start: () => start(path),
  };
}

async function start(path: string): Promise<RabbitmqServer> {
  const host = '127.0.0.1';
  const user = 'administrator';
  const password = randomBytes(12).toString('hex');
  // Erlang would start one that outlives it; this one is ended with the server.
  const mapper = await startServer({
    id: 'epmd',
    program: findOnPath('epmd') ?? 'epmd',
    args: ({ port }) => ['-port', String(port), '-address', host],
    readyPath: ({ port }) => listens(host, port),
  });
  const [amqpPort, distributionPort] = [await freePort(), await freePort()];
  try {
    const port = await freePort();
    const server = await startServer({
      id: 'rabbitmq',
      program: path,
      port,
      args: () => [],
      env: ({ folder }) => ({
        HOME: folder,
        ERL_EPMD_PORT: String(mapper.port),
        ERL_EPMD_ADDRESS: host,
        RABBITMQ_NODENAME: `mnops-${port}@localhost`,
        RABBITMQ_DIST_PORT: String(distributionPort),
        RABBITMQ_MNESIA_BASE: join(folder, 'data'),
        RABBITMQ_LOG_BASE: folder,
        RABBITMQ_LOGS: '-',
        RABBITMQ_CONFIG_FILE: join(folder, 'rabbitmq.conf'),
        RABBITMQ_ADVANCED_CONFIG_FILE: join(folder, 'none.config'),
        RABBITMQ_CONF_ENV_FILE: join(folder, 'none'),
        RABBITMQ_ENABLED_PLUGINS_FILE: join(folder, 'plugins'),
        // Only where it believes to be supervised does the script hand its process over to Erlang.
        RUNNING_UNDER_SYSTEMD: '1',
        NOTIFY_SOCKET: undefined,
      }),
      prepare: async (folder) => {
        const configuration = [
          `listeners.tcp.1 = ${host}:${amqpPort}`,
          `management.tcp.ip = ${host}`,
          `management.tcp.port = ${port}`,
          `default_user = ${user}`,
          `default_pass = ${password}`,
          'log.console = true',
          'log.file = false',
        ];
        writeFileSync(join(folder, 'rabbitmq.conf'), `${configuration.join('\n')}\n`, { mode: 0o600 });
        writeFileSync(join(folder, 'plugins'), '[rabbitmq_management].\n');
        writeFileSync(join(folder, 'none'), '');
      },
      readyPath: async () => {
        const response = await fetch(`http://${host}:${port}/api/overview`, {
          headers: { authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` },
          signal: AbortSignal.timeout(2_000),
        });
        await response.arrayBuffer();
        return response.ok && (await listens(host, amqpPort));
      },
    });
    return {
      ...server,
      host,
      amqpPort,
      user,
      password,
      stop: async () => {
        await server.stop();
        await mapper.stop();
      },
    };
  } catch (error) {
    await mapper.stop();
    throw error;
  }
}

function listens(host: string, port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', reject);
  });
}
