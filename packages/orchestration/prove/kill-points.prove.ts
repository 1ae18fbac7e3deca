import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Campaign, defineCampaign } from '@mnops/tooling/prove';
import { startController } from '../src/fixtures/controller-process.js';
import { startLoad } from '../src/fixtures/load.js';
import { ContainerOrchestrationManager, local } from '../src/index.js';

const canaryOptions = { weights: [50], everyMs: 300, intervalMs: 100, minRequests: 1, maxErrorShareOverStable: 0.5 };
const seconds = [
  { version: '2', strategy: 'rolling' },
  { version: '2', strategy: 'recreate' },
  { version: '2', canaryOptions },
  { version: '2', strategy: 'rolling', environment: { CRASH: '1' } },
];

const campaign: Campaign = defineCampaign({
  package: 'orchestration',
  suite: 'kill-points',
  bar: 'B14',
  name: 'kill -9 of the controller at a random moment of a rollout, then another controller on the folder',
  goal: '0 of 200 that do not end old or new, whole, and without a failed request',
  defaultCount: 200,
  shortCount: 3,
  async run({ count, random, fail, progress }) {
    for (let trial = 0; trial < count; trial += 1) {
      const second = seconds[trial % seconds.length]!;
      const folder = await mkdtemp(join(tmpdir(), 'mnops-kill-'));
      const controller = startController(folder, [{ version: '1' }, second]);
      const first = await controller.until((line) => line['version'] === '1');
      const { port } = first['address'] as { port: number };
      // At a transition: after the n-th event, or a moment later.
      const events = Math.floor(random() * 7);
      for (let seen = 0; seen < events; seen += 1) {
        await controller.until((line) => 'event' in line || 'idle' in line);
        if (controller.lines.some((line) => 'idle' in line)) break;
      }
      if (random() < 0.5) await new Promise((resolve) => setTimeout(resolve, random() * 60));
      await controller.kill();
      const what = `trial ${trial}, ${JSON.stringify(second)} after ${events} events`;
      const manager = new ContainerOrchestrationManager({ provider: local({ folder }) });
      try {
        await manager.start();
        const load = startLoad({ port, clients: 4, kind: 'keep-alive' });
        await manager.settled('web', { timeoutMs: 20_000 });
        let status = await manager.inspect('web');
        // No data in a canary's first window pauses it: a person decides.
        if (status?.rollout?.paused !== undefined) await manager.promote('web', { full: true, timeoutMs: 20_000 });
        status = await manager.inspect('web');
        const { failures } = await load.stop();
        const shape = status?.revisions.map(({ desired, ready }) => `${ready}/${desired}`).join(' ');
        if (failures.length > 0) fail(`${what}: ${failures.length} failed requests, first ${failures[0]}`);
        else if (shape !== '2/2') fail(`${what}: instances ${shape}`);
        else if (status?.rollout !== undefined) fail(`${what}: a rollout is left`);
        else if (status?.address?.port !== port) fail(`${what}: the port changed`);
        await manager.remove('web');
      } catch (error) {
        fail(`${what}: ${(error as Error).message}`);
      }
      await manager.stop();
      await rm(folder, { recursive: true, force: true });
      progress(trial + 1);
    }
  },
});
export default campaign;
