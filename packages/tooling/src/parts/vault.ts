import { randomBytes } from 'node:crypto';
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cacheFolder, findOnPath, isProgram, type Part } from './part.js';
import { askProgram, runProgram } from './program.js';
import { type RunningServer, startServer } from './server.js';

/** Versions that compile together. */
const vaultVersion = '1.21.2';
const sdkVersion = '0.20.0';
const pluginName = 'postgresql-database-plugin';

const moduleFile = `module mnops/vault-part

go 1.25.0

require github.com/hashicorp/vault v${vaultVersion}

replace github.com/hashicorp/vault/sdk => github.com/hashicorp/vault/sdk v${sdkVersion}
`;

const mainFile = `// Command vault is the Vault server, built for tests.
package main

import (
	"os"

	"github.com/hashicorp/vault/command"
)

func main() {
	os.Exit(command.Run(os.Args[1:]))
}
`;

/** A running Vault in development mode: unsealed, in memory, KV version 2 at `secret/`. */
export interface VaultServer extends RunningServer {
  readonly rootToken: string;
  /** One call of its API as root: the parsed answer, or `undefined` for 204. Any status of 400 or more is an error. */
  call(method: string, path: string, body?: unknown): Promise<Record<string, unknown> | undefined>;
}

/** HashiCorp Vault with its PostgreSQL plugin, for tests only: nothing of it is shipped. */
export interface VaultPart extends Part {
  readonly id: 'vault';
  /** Path of the program; empty when it is not available. */
  readonly path: string;
  /** Name of the database plugin, registered at start. */
  readonly postgresPlugin: string;
  start(): Promise<VaultServer>;
}

export function vault(): VaultPart {
  const folder = join(cacheFolder(), 'vault');
  const program = join(folder, 'bin', 'vault');
  const plugins = join(folder, 'plugins');
  const available = isProgram(program) && isProgram(join(plugins, pluginName));
  return {
    id: 'vault',
    purpose: 'secrets: KV, tokens, dynamic PostgreSQL users, transit',
    available,
    get version() {
      return available ? askProgram(program, ['version'], /Vault v(\d+\.\d+\.\d+)/) : undefined;
    },
    installLine: 'npm run parts -- install vault   (needs go 1.25 or newer; some minutes)',
    install: (progress) => install(folder, progress),
    path: available ? program : '',
    postgresPlugin: pluginName,
    start: () => start(program, plugins),
  };
}

async function install(folder: string, progress: (text: string) => void): Promise<void> {
  const go = findOnPath('go') ?? (isProgram('/usr/local/go/bin/go') ? '/usr/local/go/bin/go' : undefined);
  if (go === undefined) throw new Error('vault is built with go 1.25 or newer; put `go` on the PATH.');
  for (const name of ['bin', 'plugins']) mkdirSync(join(folder, name), { recursive: true });
  writeFileSync(join(folder, 'go.mod'), moduleFile);
  writeFileSync(join(folder, 'main.go'), mainFile);
  progress(`Vault ${vaultVersion}: its modules are fetched and compiled (about 10 minutes the first time)`);
  await build(go, folder, '.', join('bin', 'vault'), progress);
  const plugin = `github.com/hashicorp/vault/plugins/database/postgresql/${pluginName}`;
  await build(go, folder, plugin, join('plugins', pluginName), progress);
}

async function build(
  go: string,
  folder: string,
  source: string,
  target: string,
  progress: (text: string) => void,
): Promise<void> {
  const began = performance.now();
  const alive = setInterval(() => {
    progress(`still compiling ${target} (${Math.round((performance.now() - began) / 1_000)} s)`);
  }, 30_000);
  try {
    const unfinished = `${target}.new`;
    const args = ['-n', '19', go, 'build', '-p', '2', '-mod=mod', '-tags', 'minimal', '-o', unfinished, source];
    const env = { CGO_ENABLED: '0', GOFLAGS: undefined };
    const { code, stderr } = await runProgram('nice', args, { cwd: folder, env, timeoutMs: 3_600_000 });
    if (code !== 0) throw new Error(`go build of ${target} failed (${code}):\n${stderr.slice(-4_000)}`);
    renameSync(join(folder, unfinished), join(folder, target));
    progress(`compiled ${target} in ${Math.round((performance.now() - began) / 1_000)} s`);
  } finally {
    clearInterval(alive);
  }
}

async function start(program: string, plugins: string): Promise<VaultServer> {
  const rootToken = `root-${randomBytes(12).toString('hex')}`;
  const server = await startServer({
    id: 'vault',
    program,
    args: ({ port }) => [
      'server',
      '-dev',
      '-dev-no-store-token',
      `-dev-listen-address=127.0.0.1:${port}`,
      `-dev-plugin-dir=${plugins}`,
    ],
    env: () => ({ VAULT_DEV_ROOT_TOKEN_ID: rootToken, VAULT_ADDR: undefined, VAULT_TOKEN: undefined }),
    // 200 once it is unsealed and active.
    readyPath: '/v1/sys/health',
  });
  return { ...server, rootToken, call: (method, path, body) => call(server.url, rootToken, method, path, body) };
}

async function call(
  url: string,
  token: string,
  method: string,
  path: string,
  body: unknown,
): Promise<Record<string, unknown> | undefined> {
  const response = await fetch(`${url}/v1/${path}`, {
    method,
    headers: { 'x-vault-token': token },
    body: body === undefined ? null : JSON.stringify(body),
    signal: AbortSignal.timeout(30_000),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`Vault answered ${method} ${path} with ${response.status}: ${text}`);
  return text === '' ? undefined : (JSON.parse(text) as Record<string, unknown>);
}
