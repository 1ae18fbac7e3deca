import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { SecretValue } from '@mnops/core/spi';
import { type Campaign, defineCampaign } from '@mnops/tooling/prove';
import { vaultManager } from '../src/rotators/fixtures/rotated-vault.js';
import {
  type Credentials,
  isRefused,
  type LoginTarget,
  logIn,
  startLoginServer,
} from '../src/rotators/fixtures/server-logins.js';
import type { SecretsManager } from '../src/secrets-manager.js';

const clients = 100;
/** Longest rest of a client between two logins: the rotation shares the processor with them. */
const restMs = 400;
/** Longer than a hundred clients keep one process from its timers. */
const leaseTtlMs = 30_000;

type Use = (value: SecretValue) => Promise<void>;

/** How clients get in: each time with what their handle holds at this moment, or through `withSecret`. */
type Enter = (service: SecretsManager) => Promise<(use: Use) => Promise<void>>;

const withHandle: Enter = async (service) => {
  const handle = service.handle('db/login');
  await handle.ready();
  return (use) => use(handle.current);
};
const withRetry: Enter = async (service) => (use) => service.withSecret('db/login', use, { isAuthError: isRefused });

function loginCampaign(title: string, target: Omit<LoginTarget, 'port'>, enter: Enter, goal: string): Campaign {
  return defineCampaign({
    package: 'secrets',
    suite: 'logins',
    bar: 'B6',
    name: `${title}: new connections of ${clients} clients through every rotation`,
    goal,
    defaultCount: 20,
    shortCount: 2,
    needs: [target.server],
    async run({ count, random, fail, progress }) {
      const server = await startLoginServer(target.server);
      const folder = await mkdtemp(join(tmpdir(), 'mnops-logins-'));
      const at = { ...target, port: server.port };
      // A grace is as long as a login may take: here until every client has been in with the new value.
      const operator = vaultManager(folder, at, { graceMs: 3_600_000, leaseTtlMs });
      const service = vaultManager(folder, at, { leaseTtlMs });
      let crowd: Crowd | undefined;
      try {
        await operator.put('db/login', { ...(await server.newLogin()) });
        await operator.put('db/admin', { user: server.admin.user, password: server.admin.password });
        crowd = crowdOf({ enter: await enter(service), at, random, fail });
        await crowd.allIn(undefined);
        for (let turn = 1; turn <= count; turn += 1) {
          const { version } = await operator.rotation.rotate('db/login', { endGrace: true });
          await crowd.allIn(version);
          progress(crowd.entered());
        }
        await crowd.stop();
        progress(crowd.entered());
      } finally {
        await crowd?.stop();
        await service.stop();
        await operator.stop();
        await server.stop();
        await rm(folder, { recursive: true, force: true });
      }
    },
  });
}

interface Crowd {
  /** Logins that were tried so far. */
  entered(): number;
  /** Once every client got in with this version; without one, with any. */
  allIn(version: string | undefined): Promise<void>;
  stop(): Promise<void>;
}

/** Clients that open one connection after the other. */
function crowdOf({
  enter,
  at,
  random,
  fail,
}: {
  readonly enter: (use: Use) => Promise<void>;
  readonly at: LoginTarget;
  readonly random: () => number;
  readonly fail: (what: string) => void;
}): Crowd {
  let entered = 0;
  let ended = false;
  const last: (string | undefined)[] = new Array<string | undefined>(clients).fill(undefined);
  const watchers = new Set<() => void>();
  const one = async (client: number): Promise<void> => {
    while (!ended) {
      try {
        await enter(async (value) => {
          await logIn(at, value.json<Credentials>());
          last[client] = value.version;
        });
      } catch (error) {
        fail(`client ${client}: ${String(error)}`);
      }
      entered += 1;
      for (const look of watchers) look();
      await delay(random() * restMs);
    }
  };
  const running = Array.from({ length: clients }, (_, client) => one(client));
  return {
    entered: () => entered,
    allIn: (version) =>
      new Promise((resolve) => {
        const look = (): void => {
          if (!last.every((each) => each !== undefined && (version === undefined || each === version))) return;
          watchers.delete(look);
          resolve();
        };
        watchers.add(look);
        look();
      }),
    async stop() {
      ended = true;
      await Promise.all(running);
    },
  };
}

const campaigns: readonly Campaign[] = [
  loginCampaign('PostgreSQL, two users', { server: 'postgres', strategy: 'dual-user' }, withHandle, '0 failed logins'),
  loginCampaign(
    'PostgreSQL, one user, withSecret',
    { server: 'postgres', strategy: 'single-user' },
    withRetry,
    '0 failed calls',
  ),
  loginCampaign('Redis', { server: 'redis', strategy: 'single-user' }, withHandle, '0 failed logins'),
];
export default campaigns;
