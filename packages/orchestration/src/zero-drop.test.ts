import { describe, expect, it } from 'vitest';
import { type LoadKind, startLoad } from './fixtures/load.js';
import { serviceConfig } from './fixtures/service-config.js';
import { ContainerOrchestrationManager, canary, type DeploymentStrategy, local, recreate, rolling } from './index.js';

const strategies: Readonly<Record<string, DeploymentStrategy>> = {
  recreate: recreate(),
  rolling: rolling(),
  canary: canary({ weights: [50], everyMs: 200, intervalMs: 100, minRequests: 1, maxErrorShareOverStable: 0.5 }),
};
const apps = { 'graceful app': {}, 'app that dies on SIGTERM': { ABRUPT: '1' } } as const;
const kinds: readonly LoadKind[] = ['keep-alive', 'new-connection', 'post'];

describe('no request is dropped', () => {
  for (const [name, strategy] of Object.entries(strategies)) {
    for (const [app, environment] of Object.entries(apps)) {
      it(`by ${name} of a ${app}`, async () => {
        await using manager = new ContainerOrchestrationManager({ provider: local() });
        await manager.start();
        await manager.deploy(serviceConfig({ version: '0', environment }));
        const port = (await manager.inspect('web'))!.address!.port;
        for (const [index, kind] of kinds.entries()) {
          const load = startLoad({ port, clients: 24, kind });
          const version = String(index + 1);
          const result = await manager.deploy(serviceConfig({ version, environment }), { strategy });
          expect(result.state).toBe('succeeded');
          const { answered, failures, versions } = await load.stop();
          expect(failures).toEqual([]);
          expect(answered).toBeGreaterThan(10);
          expect([...versions.keys()].every((seen) => seen === version || seen === String(index))).toBe(true);
        }
        const { requests } = (await manager.inspect('web'))!;
        expect(requests.failed).toBe(0);
      });
    }
  }
});
