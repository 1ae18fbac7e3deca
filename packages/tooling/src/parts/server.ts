import { type ChildProcess, spawn } from 'node:child_process';
import { chownSync, closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { environment } from './program.js';

/** A server that this process started on loopback. */
export interface RunningServer {
  /** Base address without a trailing slash. */
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** Its own temporary folder, removed by `stop`. */
  readonly folder: string;
  /** What it has printed so far. */
  log(): string;
  /** Ends it (SIGTERM, after 5 s SIGKILL) and removes its folder. May be called twice. */
  stop(): Promise<void>;
}

/** How a server is started. */
export interface ServerPlan {
  readonly id: string;
  readonly program: string;
  readonly args: (at: { readonly port: number; readonly folder: string }) => readonly string[];
  /** Changes of the environment; `undefined` removes a variable. */
  readonly env?:
    | ((at: { readonly port: number; readonly folder: string }) => Readonly<Record<string, string | undefined>>)
    | undefined;
  /** Path that answers 2xx once the server is ready, or a function that says so. */
  readonly readyPath: string | ((at: { readonly port: number }) => Promise<boolean>);
  /** Port that it must have. Default: a free one. */
  readonly port?: number | undefined;
  /** Milliseconds until a start counts as failed. Default 60,000. */
  readonly readyMs?: number | undefined;
  /** Who runs it and owns its folder, where this process may choose. Default: this process's user. */
  readonly owner?: { readonly uid: number; readonly gid: number } | undefined;
  /** What is done in the folder before the start. */
  readonly prepare?: ((folder: string) => Promise<void>) | undefined;
  /** What asks it to end. Default `SIGTERM`. */
  readonly stopSignal?: NodeJS.Signals | undefined;
}

/** A port on loopback that nobody listens on at this moment. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  await new Promise<void>((resolve) => server.close(() => resolve()));
  if (address === null || typeof address === 'string') throw new Error('The system gave no port.');
  return address.port;
}

/** Starts a server on a free port and waits until it is ready. A port that was taken meanwhile is tried anew, twice. */
export async function startServer(plan: ServerPlan): Promise<RunningServer> {
  for (let attempt = 1; ; attempt += 1) {
    const server = await launch(plan);
    try {
      await ready(plan, server);
      return server;
    } catch (error) {
      const log = server.log();
      await server.stop();
      if (attempt === 3 || !/address already in use/i.test(log)) {
        throw new Error(`${plan.id} did not start. It said:\n${log.slice(-2000)}`, { cause: error });
      }
    }
  }
}

interface LaunchedServer extends RunningServer {
  readonly child: ChildProcess;
}

async function launch(plan: ServerPlan): Promise<LaunchedServer> {
  const port = plan.port ?? (await freePort());
  const folder = mkdtempSync(join(tmpdir(), `mnops-${plan.id}-`));
  const { owner } = plan;
  try {
    if (owner !== undefined) chownSync(folder, owner.uid, owner.gid);
    await plan.prepare?.(folder);
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
  const logFile = join(folder, 'server.log');
  const output = openSync(logFile, 'a');
  const child = spawn(plan.program, plan.args({ port, folder }), {
    cwd: folder,
    env: environment(plan.env?.({ port, folder })),
    stdio: ['ignore', output, output],
    ...owner,
  });
  closeSync(output);
  const exited = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
  // A test process that ends early must not leave servers behind.
  const killNow = (): void => {
    child.kill('SIGKILL');
  };
  process.once('exit', killNow);
  let stopping: Promise<void> | undefined;
  const end = async (): Promise<void> => {
    child.kill(plan.stopSignal ?? 'SIGTERM');
    const hard = setTimeout(killNow, 5_000);
    await exited;
    clearTimeout(hard);
    process.removeListener('exit', killNow);
    rmSync(folder, { recursive: true, force: true });
  };
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    pid: child.pid ?? -1,
    folder,
    child,
    log: () => readFileSync(logFile, 'utf8'),
    stop: () => {
      stopping ??= end();
      return stopping;
    },
  };
}

async function ready(plan: ServerPlan, { url, port, child }: LaunchedServer): Promise<void> {
  const { readyPath } = plan;
  const answers = typeof readyPath === 'string' ? () => isOk(`${url}${readyPath}`) : () => readyPath({ port });
  const endsAt = performance.now() + (plan.readyMs ?? 60_000);
  while (performance.now() < endsAt) {
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) {
      throw new Error(`${plan.id} ended before it was ready.`);
    }
    // A rejection is one that does not listen yet.
    if (await answers().catch(() => false)) return;
    await delay(50);
  }
  throw new Error(`${plan.id} was not ready in time.`);
}

async function isOk(url: string): Promise<boolean> {
  const response = await fetch(url, { signal: AbortSignal.timeout(2_000) });
  await response.arrayBuffer();
  return response.ok;
}
