import { randomBytes } from 'node:crypto';
import { chownSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { findOnPath, isProgram, type Part } from './part.js';
import { askProgram, packageUser, printed, runProgram } from './program.js';
import { type RunningServer, startServer } from './server.js';

/** A running MariaDB with a data folder of its own. */
export interface MariadbServer extends Omit<RunningServer, 'url'> {
  readonly host: string;
  readonly database: string;
  /** A user that may do everything, also give rights. */
  readonly user: string;
  readonly password: string;
  /** Runs statements as that user and gives what they print: rows by line, columns separated by tabs. */
  query(sql: string): Promise<string>;
}

/** MariaDB from the system's packages. */
export interface MariadbPart extends Part {
  readonly id: 'mariadb';
  /** Path of `mariadbd`; empty when it is not available. */
  readonly path: string;
  start(): Promise<MariadbServer>;
}

export function mariadb(): MariadbPart {
  const path =
    [findOnPath('mariadbd'), '/usr/sbin/mariadbd'].find((found) => found !== undefined && isProgram(found)) ?? '';
  return {
    id: 'mariadb',
    purpose: 'secrets: rotation of MySQL users',
    available: path !== '',
    get version() {
      return path === '' ? undefined : askProgram(path, ['--version'], /\d+\.\d+\.\d+/);
    },
    installLine: 'apt-get install -y mariadb-server',
    path,
    start: () => start(path),
  };
}

async function start(path: string): Promise<MariadbServer> {
  const host = '127.0.0.1';
  const user = 'administrator';
  const database = 'app';
  const password = randomBytes(12).toString('hex');
  // It refuses to run as root, so a root process starts it as the package's own user.
  const owner = await packageUser('mysql');
  const account = `'${user}'@'%'`;
  const client = findOnPath('mariadb') ?? join(dirname(path), 'mariadb');
  const query = async (port: number, sql: string): Promise<string> => {
    const args = ['--no-defaults', '--protocol=tcp', '-h', host, '-P', String(port), '-u', user, '-N', '-B'];
    return printed(await runProgram(client, args, { env: { MYSQL_PWD: password }, input: sql }), 'mariadb').trim();
  };
  const server = await startServer({
    id: 'mariadb',
    program: path,
    args: ({ port, folder }) => [
      ...['--no-defaults', `--datadir=${join(folder, 'data')}`, `--socket=${join(folder, 'socket')}`],
      ...[`--pid-file=${join(folder, 'pid')}`, `--bind-address=${host}`, `--port=${port}`, '--skip-name-resolve'],
      ...['--innodb-buffer-pool-size=16M', '--innodb-flush-log-at-trx-commit=0', '--performance-schema=OFF'],
      ...[`--init-file=${join(folder, 'init.sql')}`, '--max-connections=200'],
    ],
    owner,
    prepare: async (folder) => {
      const init = join(folder, 'init.sql');
      writeFileSync(
        init,
        [
          `CREATE DATABASE IF NOT EXISTS ${database};`,
          `CREATE USER IF NOT EXISTS ${account} IDENTIFIED BY '${password}';`,
          `GRANT ALL ON *.* TO ${account} WITH GRANT OPTION;`,
        ].join('\n'),
        { mode: 0o600 },
      );
      if (owner !== undefined) chownSync(init, owner.uid, owner.gid);
      const install = findOnPath('mariadb-install-db') ?? '/usr/bin/mariadb-install-db';
      const args = ['--no-defaults', `--datadir=${join(folder, 'data')}`, '--skip-test-db'];
      const options = { cwd: folder, ...(owner === undefined ? {} : { owner }) };
      printed(await runProgram(install, args, options), 'mariadb-install-db');
    },
    readyPath: async ({ port }) => (await query(port, 'SELECT 1')) === '1',
  });
  const { url: _, ...rest } = server;
  return { ...rest, host, database, user, password, query: (sql) => query(server.port, sql) };
}
