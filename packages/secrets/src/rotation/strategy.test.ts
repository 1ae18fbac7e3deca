import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RotationContext, RotationStrategy, Rotator } from '@mnops/core/spi';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { memory } from '../providers/memory/index.js';
import { SecretsManager } from '../secrets-manager.js';
import { pathDigest } from './journal.js';

let folder: string;
const open: SecretsManager[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mnops-strategy-'));
});
afterEach(async () => {
  for (const secrets of open.splice(0)) await secrets.stop();
  await rm(folder, { recursive: true, force: true });
});

interface Seen {
  readonly step: string;
  readonly strategy: RotationStrategy;
  readonly current: string;
  readonly previous: string | undefined;
  readonly admin: string | undefined;
}

/** A rotator without a target that writes down what it is given. */
function watching(seen: Seen[], change: Partial<Rotator> = {}): Rotator {
  let made = 0;
  const note =
    (step: string) =>
    async ({ strategy, current, previous, admin }: RotationContext): Promise<void> => {
      const reveal = (value: typeof previous): string | undefined => value?.reveal();
      seen.push({ step, strategy, current: current.reveal(), previous: reveal(previous), admin: reveal(admin) });
    };
  return {
    specVersion: 1,
    kind: 'rotator',
    id: 'watching',
    capabilities: { strategies: ['single-user', 'dual-user'], overlap: false },
    generate: async (context) => {
      await note('generate')(context);
      made += 1;
      return `made ${made}`;
    },
    apply: note('apply'),
    verify: note('verify'),
    revoke: note('revoke'),
    discard: note('discard'),
    ...change,
  };
}

function manager(rotator: Rotator, strategy?: RotationStrategy, provider = memory({ values: { login: 'first' } })) {
  const secrets = new SecretsManager({
    provider,
    folder,
    rotations: { login: { rotator, strategy, graceMs: 0, propagationMs: 0 } },
  });
  open.push(secrets);
  return secrets;
}

describe('rotation strategy', () => {
  it('is told to the rotator at each step, with the previous value and the newest admin', async () => {
    const seen: Seen[] = [];
    const provider = memory({ values: { login: 'first', root: 'root 1' } });
    const secrets = manager(watching(seen, { admin: 'root' }), 'dual-user', provider);
    await secrets.rotation.rotate('login');
    await secrets.put('root', 'root 2');
    await secrets.rotation.rotate('login');
    const common = { strategy: 'dual-user' };
    expect(seen.slice(0, 4)).toEqual(
      ['generate', 'apply', 'verify', 'revoke'].map((step) => ({
        ...common,
        step,
        current: 'first',
        previous: undefined,
        admin: 'root 1',
      })),
    );
    expect(seen.slice(4).map(({ current, previous, admin }) => [current, previous, admin])).toEqual([
      ['made 1', 'first', 'root 2'],
      ['made 1', 'first', 'root 2'],
      ['made 1', 'first', 'root 2'],
      ['made 1', undefined, 'root 2'],
    ]);
    const reads: string[] = [];
    for await (const { operation, path, actor } of secrets.audit.query())
      if (operation === 'read') reads.push(`${actor} ${path}`);
    expect(new Set(reads)).toEqual(new Set(['host root']));
  });

  it('is the first that the rotator names, and is refused by its field where the rotator does not name it', async () => {
    const seen: Seen[] = [];
    await manager(watching(seen)).rotation.rotate('login');
    expect(new Set(seen.map(({ strategy }) => strategy))).toEqual(new Set(['single-user']));
    const single = watching([], { capabilities: { strategies: ['single-user'], overlap: true } });
    const refused = (strategy: string) => () => manager(single, strategy as RotationStrategy);
    expect(refused('dual-user')).toThrow(/rotations\.login\.strategy/);
    expect(refused('three-user')).toThrow(/strategy/);
  });

  it('holds until the rotation is closed, whatever is configured meanwhile', async () => {
    const seen: Seen[] = [];
    let broken = true;
    const provider = memory({ values: { login: 'first' } });
    const revoke: Rotator['revoke'] = async () => {
      if (broken) throw new Error('not now');
    };
    const first = manager(watching(seen, { revoke }), 'dual-user', provider);
    await expect(first.rotation.rotate('login')).rejects.toMatchObject({ details: { step: 'revoke' } });
    expect(await readFile(join(folder, 'rotation', `${pathDigest('login')}.journal`), 'latin1')).toContain('dual-user');
    await first.stop();
    broken = false;
    const again = new SecretsManager({
      provider: memory({ values: { login: 'x' } }),
      folder,
      rotations: { login: { rotator: watching(seen), strategy: 'single-user', graceMs: 0 } },
    });
    open.push(again);
    await again.put('login', 'y');
    await again.rotation.resume('login');
    expect(seen.at(-1)).toMatchObject({ step: 'revoke', strategy: 'dual-user' });
  });
});

describe('admin secret of a rotator', () => {
  it('must be there before a rotation begins, and nothing is begun without it', async () => {
    const seen: Seen[] = [];
    const secrets = manager(watching(seen, { admin: 'root' }));
    const error: unknown = await secrets.rotation.rotate('login').catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: 'MNOPS_CORE_NOT_FOUND', details: { path: 'root' } });
    expect(seen).toEqual([]);
    expect(await secrets.rotation.state('login')).toMatchObject({ state: 'idle' });
    expect((await secrets.describe('login'))?.stages).toEqual({ current: '1' });
  });

  it('that goes away in the middle leaves the change to be undone once it is back', async () => {
    const seen: Seen[] = [];
    const provider = memory({ values: { login: 'first', root: 'root 1' } });
    const secrets: SecretsManager = manager(
      watching(seen, {
        admin: 'root',
        verify: async () => {
          await secrets.delete('root', { permanent: true });
          throw new Error('refused');
        },
      }),
      undefined,
      provider,
    );
    await expect(secrets.rotation.rotate('login')).rejects.toMatchObject({ details: { step: 'discard' } });
    expect(seen.at(-1)?.step).toBe('apply');
    await secrets.put('root', 'root 2');
    await secrets.rotation.resume('login');
    expect(seen.at(-1)).toMatchObject({ step: 'discard', admin: 'root 2' });
    expect((await secrets.describe('login'))?.stages).toEqual({ current: '1' });
  });

  it('must have a valid path', () => {
    expect(() => manager(watching([], { admin: '../root' }))).toThrow(/path/i);
  });
});
