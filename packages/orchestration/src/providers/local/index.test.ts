import { spawn } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { processIdentity } from '@mnops/core/files';
import { eventually, orchestrationProviderContract } from '@mnops/core/testing';
import { describe, expect, it } from 'vitest';
import { serviceConfig } from '../../fixtures/service-config.js';
import { ContainerOrchestrationManager } from '../../index.js';
import { local } from './index.js';

const services = {
  service: ({ name, version }: { readonly name: string; readonly version: string }) => serviceConfig({ name, version }),
  failing: (name: string) => ({
    name,
    containers: [{ command: [process.execPath, '-e', "console.error('last words'); process.exit(2)"] }],
  }),
};

orchestrationProviderContract({ describe, it }, 'local, in memory', async () => ({ provider: local(), ...services }));

orchestrationProviderContract({ describe, it }, 'local, with a folder', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'mnops-local-'));
  return {
    provider: local({ folder }),
    ...services,
    close: () => rm(folder, { recursive: true, force: true }),
  };
});

const memoryController = `
  import { ContainerOrchestrationManager, local } from ${JSON.stringify(fileURLToPath(new URL('../../index.ts', import.meta.url)))};
  import { serviceConfig } from ${JSON.stringify(fileURLToPath(new URL('../../fixtures/service-config.ts', import.meta.url)))};
  const options = process.argv[1] === undefined ? {} : { folder: process.argv[1], orphanGraceMs: 1000 };
  const manager = new ContainerOrchestrationManager({ provider: local(options) });
  await manager.start();
  await manager.deploy(serviceConfig());
  const { revisions } = await manager.inspect('web');
  console.log(JSON.stringify(revisions[0].instances.map(({ pid }) => pid)));
`;

describe('instances of a killed supervisor', () => {
  for (const [name, withFolder] of [
    ['without a folder end at once', false],
    ['with a folder end when none takes over in time', true],
  ] as const) {
    it(name, async () => {
      const folder = await mkdtemp(join(tmpdir(), 'mnops-orphans-'));
      const environment = { ...process.env };
      delete environment['NODE_OPTIONS'];
      const child = spawn(
        process.execPath,
        [
          '--conditions=@mnops/source',
          '--import',
          'tsx',
          '--input-type=module',
          '-e',
          memoryController,
          ...(withFolder ? [folder] : []),
        ],
        { stdio: ['ignore', 'pipe', 'inherit'], env: environment },
      );
      const { value } = await createInterface({ input: child.stdout })[Symbol.asyncIterator]().next();
      const pids = JSON.parse(String(value)) as number[];
      expect(pids).toHaveLength(2);
      child.kill('SIGKILL');
      await eventually(async () =>
        (await Promise.all(pids.map((pid) => processIdentity(pid)))).every((one) => one === undefined),
      );
      await rm(folder, { recursive: true, force: true });
    });
  }
});

describe('local', () => {
  it('hands every probe kind its answer', async () => {
    const manager = new ContainerOrchestrationManager({ provider: local() });
    await manager.start();
    const base = serviceConfig({ replicas: 1 });
    const container = base.containers[0]!;
    const every = { everyMs: 20 } as const;
    const kinds = {
      http: { http: { path: '/' }, ...every },
      tcp: { tcp: true, ...every },
      exec: { exec: [process.execPath, '-e', ''], ...every },
      'log-line': { logLine: 'listening', ...every },
    } as const;
    for (const [name, readiness] of Object.entries(kinds)) {
      const probes = { startup: { ...readiness, failures: 500 }, readiness, liveness: { ...readiness, failures: 50 } };
      const result = await manager.deploy({ ...base, name, containers: [{ ...container, probes }] });
      expect(result.state).toBe('succeeded');
    }
    await manager.stop();
  });

  it('restarts an instance that stops answering', async () => {
    const manager = new ContainerOrchestrationManager({ provider: local() });
    await manager.start();
    const program = `let asked = 0; require('node:http').createServer((q, r) => {
      asked += 1; r.statusCode = asked > 6 ? 500 : 200; r.end(); }).listen(process.env.PORT, '127.0.0.1')`;
    const liveness = { http: { path: '/' }, everyMs: 20, failures: 2 } as const;
    const crashed = new Promise<string>((resolve) => manager.on('instance:crashed', ({ message }) => resolve(message)));
    await manager.deploy({
      name: 'web',
      ports: [{ name: 'http' }],
      containers: [{ command: [process.execPath, '-e', program], probes: { liveness } }],
    });
    expect(await crashed).toMatch(/stopped answering: \/ answered 500/);
    await manager.stop();
  });

  it('leaves no file behind without a folder', async () => {
    const before = await readdir(tmpdir());
    const manager = new ContainerOrchestrationManager({ provider: local() });
    await manager.start();
    await manager.deploy(serviceConfig({ replicas: 1 }));
    await manager.stop();
    const left = (await readdir(tmpdir())).filter((name) => name.startsWith('mnops-local-') && !before.includes(name));
    expect(left).toEqual([]);
  });

  it('refuses Windows with a reason', () => {
    const platform = Object.getOwnPropertyDescriptor(process, 'platform')!;
    Object.defineProperty(process, 'platform', { ...platform, value: 'win32' });
    try {
      expect(() => local()).toThrow(/Windows/);
    } finally {
      Object.defineProperty(process, 'platform', platform);
    }
  });
});
