import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '@mnops/core';
import { processIdentity } from '@mnops/core/files';
import { eventually } from '@mnops/core/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ContainerOrchestrationManager } from '../../index.js';
import { local } from './index.js';
import { adoptProcess, spawnProcess } from './process-handle.js';

let folder: string;
let file: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mnops-group-'));
  file = join(folder, 'children');
});

afterEach(() => rm(folder, { recursive: true, force: true }));

/** Starts a child that ignores SIGTERM, writes its number down, and then does what `then` says. */
function leader(then: string): readonly string[] {
  const script = `sh -c 'trap "" TERM; echo $$ >> "$0"; while :; do sleep 0.05; done' "$0" & ${then}`;
  return ['/bin/sh', '-c', script, file];
}

async function children(): Promise<readonly number[]> {
  return (await readFile(file, 'utf8').catch(() => '')).split('\n').filter(Boolean).map(Number);
}

async function living(): Promise<number> {
  const found = await Promise.all((await children()).map((pid) => processIdentity(pid)));
  return found.filter((one) => one !== undefined).length;
}

const options = (command: readonly string[], marker: string) => ({
  command,
  environment: { PATH: process.env['PATH'] ?? '', MNOPS_INSTANCE: marker },
  stdoutFile: join(folder, 'out'),
  stderrFile: join(folder, 'err'),
});
const untilChild = 'while [ ! -s "$0" ]; do sleep 0.02; done;';

describe('children that ignore SIGTERM', () => {
  it('end with a leader that ends at once', async () => {
    const handle = await spawnProcess(options(leader(`${untilChild} exit 0`), 'web-1'));
    expect(await handle.ended).toEqual({ code: 0, signal: undefined });
    expect(await children()).toHaveLength(1);
    await eventually(async () => (await living()) === 0);
  });

  it('end with a service that is removed and ends in time', async () => {
    const manager = new ContainerOrchestrationManager({ provider: local() });
    await manager.start();
    const command = [...leader("trap 'exit 0' TERM; while :; do sleep 0.02; done")];
    await manager.deploy({ name: 'web', containers: [{ command }] });
    await eventually(async () => (await living()) === 1);
    await manager.remove('web');
    await eventually(async () => (await living()) === 0);
    await manager.stop();
  });

  it('end at each restart of a service that crashes', async () => {
    const manager = new ContainerOrchestrationManager({ provider: local() });
    await manager.start();
    const command = [...leader('sleep 0.2; exit 1')];
    const deployed = manager.deploy({ name: 'web', containers: [{ command }] }).catch(() => undefined);
    await eventually(async () => (await children()).length >= 3);
    expect(await living()).toBeLessThanOrEqual(1);
    await deployed;
    await manager.stop();
    await eventually(async () => (await living()) === 0);
  });
});

it.runIf(process.platform === 'linux')('ends a daemon in a session of its own with its service', async () => {
  await using manager = new ContainerOrchestrationManager({ provider: local() });
  await manager.start();
  const daemon = 'setsid sh -c \'echo $$ >> "$0"; exec sleep 600\' "$0" & exec sleep 600';
  await manager.deploy({ name: 'web', containers: [{ command: ['/bin/sh', '-c', daemon, file] }] });
  await eventually(async () => (await living()) === 1);
  await manager.remove('web');
  expect(await living()).toBe(0);
});

it.runIf(process.platform === 'linux')(
  'kills what an adopted leader leaves, but only what carries its marker',
  async () => {
    // Not with spawnProcess: that would kill the group by itself.
    const script = 'sleep 60 & echo $! >> "$0"; env -u MNOPS_INSTANCE sleep 60 & echo $! >> "$0"; exec sleep 60';
    const environment = { PATH: process.env['PATH'] ?? '', MNOPS_INSTANCE: 'web-1' };
    const child = spawn('/bin/sh', ['-c', script, file], { detached: true, stdio: 'ignore', env: environment });
    await eventually(async () => (await children()).length === 2);
    const [marked = 0, unmarked = 0] = await children();
    await eventually(async () => !(await readFile(`/proc/${unmarked}/environ`, 'latin1')).includes('MNOPS_INSTANCE'));
    const identity = (await processIdentity(child.pid!))!;
    const adopted = await adoptProcess(identity, 'MNOPS_INSTANCE=web-1', systemClock(), new AbortController().signal);
    child.kill('SIGKILL');
    await adopted!.ended;
    await eventually(async () => (await processIdentity(marked)) === undefined);
    expect(await processIdentity(unmarked)).toBeDefined();
    process.kill(unmarked, 'SIGKILL');
  },
);
