import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import type { SecretResolver } from '@mnops/core/spi';
import { eventually } from '@mnops/core/testing';
import { expect, it } from 'vitest';
import { serviceConfig } from '../../fixtures/service-config.js';
import { ContainerOrchestrationManager } from '../../index.js';
import { local } from './index.js';

const secret = 'TopS3cret-Value';
function resolverOf(resolve: SecretResolver['resolve']): SecretResolver {
  return { specVersion: 1, kind: 'secret-resolver', id: 'test', resolve, subscribe: () => () => undefined };
}

const resolver = resolverOf(async () => ({ version: '1', reveal: () => `${secret}\0tail` }));

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

it('tells of a resolver that throws its code and the path, never its text', async () => {
  const throwing = resolverOf(async () => {
    throw Object.assign(new Error(`access denied with ${secret}`), { code: 'VAULT_SEALED' });
  });
  await using manager = new ContainerOrchestrationManager({ provider: local(), secrets: throwing });
  await manager.start();
  const config = serviceConfig({ replicas: 1, environment: { PASSWORD: 'secret://db/main#password' } });
  const error: unknown = await manager.deploy(config).catch((thrown: unknown) => thrown);
  const shown = inspect(error, { depth: 20, showHidden: true });
  expect(shown).toContain('crash-loop:secret-not-resolved');
  expect(shown).toContain('PASSWORD could not be read from secret://db/main: VAULT_SEALED.');
  expect(shown).not.toContain(secret);
});

it('says after a restart without a resolver what is missing', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'mnops-secret-'));
  const secrets = resolverOf(async () => ({ version: '1', reveal: () => secret }));
  const first = new ContainerOrchestrationManager({ provider: local({ folder }), secrets });
  await first.start();
  await first.deploy(serviceConfig({ replicas: 1, environment: { PASSWORD: 'secret://db#password' } }));
  await first.stop();
  const second = new ContainerOrchestrationManager({ provider: local({ folder }) });
  await second.start();
  await eventually(async () => (await second.inspect('web'))?.revisions[0]?.instances[0]?.state === 'failed');
  const [instance] = (await second.inspect('web'))!.revisions[0]!.instances;
  expect(instance?.message).toMatch(
    /^PASSWORD could not be read from secret:\/\/db: there is no resolver .* Pass `secrets`/,
  );
  await second.stop();
  await rm(folder, { recursive: true, force: true });
});
