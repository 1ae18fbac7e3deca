import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { get } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { processIdentity } from '@mnops/core/files';
import { eventually } from '@mnops/core/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type ControllerProcess, startController } from './fixtures/controller-process.js';
import { startLoad } from './fixtures/load.js';
import { serviceConfig } from './fixtures/service-config.js';
import { ContainerOrchestrationManager, local } from './index.js';

let folder: string;
const open: (ControllerProcess | ContainerOrchestrationManager)[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mnops-adoption-'));
});

afterEach(async () => {
  for (const one of open.splice(0)) {
    if ('kill' in one) await one.kill();
    else await one.stop();
  }
  await rm(folder, { recursive: true, force: true });
});

function controller(commands: readonly object[]): ControllerProcess {
  const started = startController(folder, commands);
  open.push(started);
  return started;
}

async function takeOver(): Promise<ContainerOrchestrationManager> {
  const manager = new ContainerOrchestrationManager({ provider: local({ folder }) });
  open.push(manager);
  await manager.start();
  return manager;
}

function answer(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    get({ port, host: '127.0.0.1', agent: false }, (response) => {
      let body = '';
      response.on('data', (chunk) => {
        body += chunk;
      });
      response.on('end', () => resolve(body));
    }).on('error', reject);
  });
}

describe('a controller that was killed', () => {
  it('leaves the workers of its instances, which go on after the takeover and end with the service', async () => {
    const file = join(folder, 'workers');
    const first = controller([{ version: '1', replicas: 1, environment: { WORKER_FILE: file } }]);
    await first.until((one) => 'state' in one);
    const worker = Number(await readFile(file, 'utf8'));
    await first.kill();

    const manager = await takeOver();
    expect((await manager.inspect('web'))?.revisions[0]?.instances[0]?.adopted).toBe(true);
    expect(await processIdentity(worker)).toBeDefined();
    await manager.remove('web');
    await eventually(async () => (await processIdentity(worker)) === undefined);
  });

  it('leaves its instances, and the next one takes them over on the same port', async () => {
    const first = controller([{ version: '1' }]);
    const line = await first.until((one) => 'state' in one);
    const { port } = line['address'] as { port: number };
    const pids = new Set<string>();
    for (let count = 0; count < 8; count += 1) pids.add((await answer(port)).split(' ')[2]!);
    expect(pids.size).toBe(2);
    await first.kill();

    const manager = await takeOver();
    const status = await manager.inspect('web');
    expect(status?.address?.port).toBe(port);
    expect(pids).toContain((await answer(port)).split(' ')[2]);
    const after = status?.revisions.flatMap(({ instances }) => instances) ?? [];
    expect(after.map(({ pid, adopted }) => [String(pid), adopted]).sort()).toEqual(
      [...pids].sort().map((pid) => [pid, true]),
    );
    await eventually(async () => (await manager.inspect('web'))?.ready === 2);

    await manager.remove('web');
    for (const pid of pids) expect(await processIdentity(Number(pid))).toBeUndefined();
    for await (const left of manager.list()) expect(left).toBeUndefined();
  });

  it('does not let a second one in while it lives', async () => {
    const first = controller([]);
    await first.until((one) => one['started'] === true);
    const manager = new ContainerOrchestrationManager({ provider: local({ folder }) });
    await expect(manager.start()).rejects.toMatchObject({ code: 'MNOPS_CORE_LOCKED' });
    await manager.stop();
  });

  it('has its rolling update finished by the next one', async () => {
    const first = controller([{ version: '1' }, { version: '2', environment: { START_MS: '150' } }]);
    await first.until((one) => one['version'] === '1');
    await first.until((one) => one['event'] === 'rollout:started');
    await first.until((one) => one['event'] === 'route:shifted');
    await first.kill();
    const manager = await takeOver();
    await manager.settled('web');
    const status = await manager.inspect('web');
    expect(status?.version).toBe('2');
    expect(status?.revisions.map(({ ready, desired }) => [ready, desired])).toEqual([[2, 2]]);
    expect(status?.rollout).toBeUndefined();
  });

  it('has its canary judged again, and nothing is dropped meanwhile', async () => {
    const canaryOptions = { weights: [50], everyMs: 700, maxErrorShareOverStable: 0.05, minRequests: 5 };
    const first = controller([{ version: '1' }, { version: '2', canaryOptions, environment: { FAIL_SHARE: '0' } }]);
    const line = await first.until((one) => one['version'] === '1');
    const { port } = line['address'] as { port: number };
    await first.until((one) => one['event'] === 'rollout:started');
    await first.until((one) => one['event'] === 'route:shifted');
    await first.kill();
    const manager = await takeOver();
    const load = startLoad({ port, clients: 4, kind: 'keep-alive' });
    await manager.settled('web');
    const { failures } = await load.stop();
    expect(failures).toEqual([]);
    const status = await manager.inspect('web');
    expect(status?.version).toBe('2');
    expect(status?.revisions).toHaveLength(1);
  });

  it('brings a new service back after an orderly stop too', async () => {
    const first = await takeOver();
    await first.deploy(serviceConfig({ replicas: 1 }));
    const before = await first.inspect('web');
    await first.stop();
    const second = await takeOver();
    await eventually(async () => (await second.inspect('web'))?.ready === 1);
    expect((await second.inspect('web'))?.address).toEqual(before?.address);
  });
});
