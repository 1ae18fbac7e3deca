import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import type { SecretResolver } from '@mnops/core/spi';
import { expect, it } from 'vitest';
import { serviceConfig } from '../../fixtures/service-config.js';
import { ContainerOrchestrationManager } from '../../index.js';
import { local } from './index.js';

const secret = 'TopS3cret-Value';
const resolver: SecretResolver = {
  specVersion: 1,
  kind: 'secret-resolver',
  id: 'nul',
  resolve: async () => ({ version: '1', reveal: () => `${secret}\0tail` }),
  subscribe: () => () => undefined,
};

it('shows a secret with a NUL byte in no error, no status and no file', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'mnops-secret-'));
  const manager = new ContainerOrchestrationManager({ provider: local({ folder }), secrets: resolver });
  await manager.start();
  const config = serviceConfig({ replicas: 1, environment: { PASSWORD: 'secret://db#password' } });
  const error: unknown = await manager.deploy(config).catch((thrown: unknown) => thrown);
  const shown = { depth: 20, showHidden: true };
  expect(inspect(error, shown)).toContain('The value of the variable PASSWORD holds a NUL byte.');
  expect(inspect(error, shown)).not.toContain(secret);
  expect(inspect(await manager.inspect('web').catch((thrown: unknown) => thrown), shown)).not.toContain(secret);
  await manager.stop();
  const files = (await readdir(folder, { recursive: true, withFileTypes: true })).filter((one) => one.isFile());
  expect(files.length).toBeGreaterThan(0);
  for (const { parentPath, name } of files)
    expect(await readFile(join(parentPath, name), 'latin1')).not.toContain(secret);
  await rm(folder, { recursive: true, force: true });
});
