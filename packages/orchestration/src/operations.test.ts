import { AsyncLocalStorage } from 'node:async_hooks';
import { carryOperations } from '@mnops/core/operations';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { serviceConfig } from './fixtures/service-config.js';
import { ContainerOrchestrationManager, local } from './index.js';

let manager: ContainerOrchestrationManager;
let lines: string[] = [];
let end = (): void => undefined;

beforeEach(async () => {
  manager = new ContainerOrchestrationManager({ provider: local() });
  await manager.start();
  const storage = new AsyncLocalStorage<string>();
  lines = [];
  end = carryOperations<string>({
    storage,
    begin: ({ package: group, operation }) => {
      const above = storage.getStore();
      const name = group === 'orchestration' ? operation : `${group} ${operation}`;
      const own = above === undefined ? name : `${above} > ${name}`;
      return {
        store: own,
        end: ({ step, reason, outcome, cut }, failure) => {
          const facts = [step, reason, outcome, cut, failure?.code].filter((fact) => fact !== undefined);
          lines.push([own, ...facts].join(' '));
        },
      };
    },
  });
});

afterEach(async () => {
  end();
  await manager.stop();
});

it('publishes each change once, with its rollout, what that takes, and its record', async () => {
  await manager.deploy(serviceConfig({ version: '1' }));
  expect(lines.at(-1)).toBe('deploy succeeded');
  expect(lines).toContain('deploy > rollout succeeded');
  expect(lines).toContain('deploy > core audit-append ok');
  expect(lines.filter((line) => line.startsWith('deploy ') && !line.includes('>'))).toHaveLength(1);
  lines.length = 0;
  await manager.scale('web', 0);
  expect(lines.at(-1)).toBe('scale succeeded');
  expect(lines.every((line) => line.startsWith('scale'))).toBe(true);
  expect(lines.filter((line) => line.endsWith('> drain 0'))).toHaveLength(serviceConfig().replicas ?? 1);
  lines.length = 0;
  await manager.remove('web');
  expect(lines.at(-1)).toBe('remove ok');
});

it('says why a rollout went back', async () => {
  await manager.deploy(serviceConfig({ version: '1' }));
  lines.length = 0;
  const bad = serviceConfig({ version: '2' });
  const [container] = bad.containers;
  const crashing = { ...bad, containers: [{ ...container, command: [process.execPath, '-e', 'process.exit(3)'] }] };
  await expect(manager.deploy(crashing)).rejects.toMatchObject({ code: 'MNOPS_ORCHESTRATION_ROLLED_BACK' });
  expect(lines.find((line) => line.includes('roll-back'))).toMatch(
    /^deploy > rollout > step roll-back crash-loop:exited$/,
  );
  expect(lines).toContain('deploy > rollout rolled-back');
  expect(lines.at(-1)).toBe('deploy MNOPS_ORCHESTRATION_ROLLED_BACK');
});
