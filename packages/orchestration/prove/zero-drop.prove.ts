import { type Campaign, defineCampaign } from '@mnops/tooling/prove';
import { type LoadKind, startLoad } from '../src/fixtures/load.js';
import { serviceConfig } from '../src/fixtures/service-config.js';
import { ContainerOrchestrationManager, canary, local, recreate, rolling } from '../src/index.js';

const strategies = [
  recreate(),
  rolling(),
  canary({ weights: [25, 50], everyMs: 200, intervalMs: 100, minRequests: 1, maxErrorShareOverStable: 0.5 }),
];
const kinds: readonly LoadKind[] = ['keep-alive', 'new-connection', 'post'];

const campaign: Campaign = defineCampaign({
  package: 'orchestration',
  suite: 'zero-drop',
  bar: 'B1',
  name: 'rollouts under 24 clients: strategy x {graceful, dies on SIGTERM} x {keep-alive, new connection, POST}',
  goal: '0 rollouts with a failed request',
  defaultCount: 180,
  shortCount: 18,
  async run({ count, fail, progress }) {
    const manager = new ContainerOrchestrationManager({ provider: local() });
    await manager.start();
    try {
      await manager.deploy(serviceConfig({ version: 'first' }));
      const port = (await manager.inspect('web'))!.address!.port;
      for (let trial = 0; trial < count; trial += 1) {
        const strategy = strategies[trial % 3]!;
        const kind = kinds[Math.floor(trial / 3) % 3]!;
        const environment: Record<string, string> = Math.floor(trial / 9) % 2 === 0 ? {} : { ABRUPT: '1' };
        const load = startLoad({ port, clients: 24, kind });
        const { state } = await manager.deploy(serviceConfig({ version: `v${trial}`, environment }), { strategy });
        const { failures } = await load.stop();
        if (failures.length > 0) fail(`${strategy.type}, ${kind}: ${failures.length} failed, first ${failures[0]}`);
        else if (state !== 'succeeded') fail(`${strategy.type}, ${kind}: ${state}`);
        progress(trial + 1);
      }
    } finally {
      await manager.stop();
    }
  },
});
export default campaign;
