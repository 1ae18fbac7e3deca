import { AsyncLocalStorage } from 'node:async_hooks';
import { carryOperations } from '@mnops/core/operations';
import type { Rotator } from '@mnops/core/spi';
import { afterEach, describe, expect, it } from 'vitest';
import { memory } from './providers/memory/index.js';
import { SecretsManager } from './secrets-manager.js';

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

/** Every operation that ended, each with those it was a part of, and its outcome or the code of its failure. */
function seen(): string[] {
  const storage = new AsyncLocalStorage<string>();
  const lines: string[] = [];
  ends.push(
    carryOperations<string>({
      storage,
      begin: ({ package: group, operation }) => {
        const above = storage.getStore();
        const own = above === undefined ? `${group} ${operation}` : `${above} > ${group} ${operation}`;
        return {
          store: own,
          end: ({ step, outcome }, failure) =>
            lines.push([own, step, failure?.code ?? outcome].filter((part) => part !== undefined).join(' ')),
        };
      },
    }),
  );
  return lines;
}

async function manager(config: ConstructorParameters<typeof SecretsManager>[0] = {}): Promise<SecretsManager> {
  const secrets = new SecretsManager({ provider: memory(), ...config });
  ends.push(() => secrets.stop());
  await secrets.start();
  return secrets;
}

const rotator: Rotator = {
  specVersion: 1,
  kind: 'rotator',
  id: 'test',
  capabilities: { strategies: ['single-user'], overlap: true },
  generate: async () => 'next',
  apply: async () => undefined,
  verify: async () => undefined,
  revoke: async () => undefined,
};

describe('operations', () => {
  it('hold their audit record, one operation for each call', async () => {
    const secrets = await manager();
    const lines = seen();
    await secrets.create('a/b', 'one');
    await secrets.get('a/b');
    await secrets.describe('a/b');
    for await (const _ of secrets.list('a/'));
    await secrets.delete('a/b');
    expect(lines).toEqual([
      'secrets write > core audit-append ok',
      'secrets write ok',
      'secrets read > secrets refresh ok',
      'secrets read > core audit-append ok',
      'secrets read ok',
      'secrets list > core audit-append ok',
      'secrets list ok',
      'secrets list > core audit-append ok',
      'secrets list ok',
      'secrets delete > core audit-append ok',
      'secrets delete ok',
    ]);
  });

  it('fail where their record cannot be written', async () => {
    let broken = false;
    const append = async (): Promise<void> => {
      if (broken) throw new Error('full');
    };
    const secrets = await manager({ audit: { sink: { append } } });
    await secrets.create('a', 'one');
    await secrets.get('a');
    broken = true;
    const lines = seen();
    await expect(secrets.put('a', 'two')).rejects.toMatchObject({ code: 'MNOPS_CORE_AUDIT_UNAVAILABLE' });
    expect(lines.at(-1)).toBe('secrets write MNOPS_CORE_AUDIT_UNAVAILABLE');
    broken = false;
  });

  it('of a rotation are its steps, in one', async () => {
    const secrets = await manager({ rotations: { a: { rotator, graceMs: 60_000 } } });
    await secrets.create('a', 'one');
    const lines = seen();
    await secrets.rotation.rotate('a');
    expect(lines.at(-1)).toBe('secrets rotate grace');
    const steps = lines.filter((line) => /^secrets rotate > secrets rotate-step [a-z]/.test(line));
    expect(steps.map((line) => line.split(' ').slice(4).join(' '))).toEqual([
      'rotate-step store-pending ok',
      'rotate-step apply ok',
      'rotate-step verify ok',
      'rotate-step promote ok',
      'rotate-step record-grace ok',
    ]);
    expect(lines.filter((line) => !line.startsWith('secrets rotate'))).toEqual([]);
  });
});
