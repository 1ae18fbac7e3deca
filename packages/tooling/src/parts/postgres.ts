import { randomBytes } from 'node:crypto';
import { chmodSync, chownSync, existsSync, readdirSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { findOnPath, isProgram, type Part } from './part.js';
import { askProgram, packageUser, printed, runProgram } from './program.js';
import { type RunningServer, startServer } from './server.js';

/** A running PostgreSQL with a data folder of its own. Connections need a password (SCRAM-SHA-256). */
export interface PostgresServer extends Omit<RunningServer, 'url'> {
  readonly host: string;
  readonly database: string;
  /** The superuser. */
  readonly user: string;
  readonly password: string;
  /** Runs one statement as the superuser and gives what it prints: rows by line, columns separated by `|`. */
  query(sql: string): Promise<string>;
}

/** PostgreSQL from the system's packages. */
export interface PostgresPart extends Part {
  readonly id: 'postgres';
  /** Folder of its programs; empty when it is not available. */
  readonly path: string;
  start(): Promise<PostgresServer>;
}

interface Owner {
  readonly uid: number;
  readonly gid: number;
}

export function postgres(): PostgresPart {
  const path = programFolder() ?? '';
  return {
    id: 'postgres',
    purpose: 'secrets: rotation and dynamic users',
    available: path !== '',
    get version() {
      return path === '' ? undefined : askProgram(join(path, 'postgres'), ['--version'], /\d+\.\d+/);
    },
    installLine: 'apt-get install -y postgresql',
    path,
    start: () => start(path),
  };
}

/** Debian keeps the server's programs off the `PATH`, one folder for each major version. */
function programFolder(): string | undefined {
  const onPath = findOnPath('initdb');
  const folders = [...debianFolders(), ...(onPath === undefined ? [] : [dirname(realpathSync(onPath))])];
  return folders.find((folder) =>
    ['initdb', 'postgres', 'pg_isready', 'psql'].every((name) => isProgram(join(folder, name))),
  );
}

function debianFolders(): readonly string[] {
  const root = '/usr/lib/postgresql';
  if (!existsSync(root)) return [];
  const versions = readdirSync(root).sort((a, b) => Number(b) - Number(a));
  return versions.map((version) => join(root, version, 'bin'));
}

async function start(path: string): Promise<PostgresServer> {
  const user = 'postgres';
  const password = randomBytes(12).toString('hex');
  const host = '127.0.0.1';
  const owner = await packageUser('postgres');
  const server = await startServer({
    id: 'postgres',
    program: join(path, 'postgres'),
    args: ({ port, folder }) => [
      ...['-D', join(folder, 'data'), '-p', String(port), '-k', folder],
      ...['-c', `listen_addresses=${host}`, '-c', 'fsync=off', '-c', 'max_connections=200'],
    ],
    owner,
    prepare: (folder) => createCluster(path, folder, { user, password, owner }),
    readyPath: async ({ port }) => {
      const { code } = await runProgram(join(path, 'pg_isready'), ['-q', '-h', host, '-p', String(port)]);
      return code === 0;
    },
    // A fast shutdown: clients that are still connected do not hold it up.
    stopSignal: 'SIGINT',
  });
  const { url: _, ...rest } = server;
  return {
    ...rest,
    host,
    database: 'postgres',
    user,
    password,
    query: async (sql) => {
      const args = ['-X', '-A', '-t', '-q', '-v', 'ON_ERROR_STOP=1', '-h', host, '-p', String(server.port), '-U', user];
      const env = { PGPASSWORD: password, PGDATABASE: 'postgres' };
      return printed(await runProgram(join(path, 'psql'), args, { env, input: sql }), 'psql').trim();
    },
  };
}

async function createCluster(
  path: string,
  folder: string,
  { user, password, owner }: { readonly user: string; readonly password: string; readonly owner: Owner | undefined },
): Promise<void> {
  const passwordFile = join(folder, 'password');
  writeFileSync(passwordFile, password, { mode: 0o600 });
  if (owner !== undefined) chownSync(passwordFile, owner.uid, owner.gid);
  chmodSync(folder, 0o700);
  const args = [
    ...['-D', join(folder, 'data'), '-U', user, `--pwfile=${passwordFile}`],
    ...['--auth=scram-sha-256', '--encoding=UTF8', '--locale=C', '--no-sync'],
  ];
  const made = await runProgram(join(path, 'initdb'), args, { cwd: folder, ...(owner === undefined ? {} : { owner }) });
  printed(made, 'initdb');
  rmSync(passwordFile);
}
