import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { discard, passphrase, scratch } from '../prove/repository-kit.js';
import { DisasterRecoveryManager, files } from './index.js';

const ready = {
  specVersion: 1,
  kind: 'health-source',
  id: 'x',
  check: async () => ({ status: 'healthy' as const, reasons: [], atMs: 0 }),
} as const;

let folder = '';
let dr: DisasterRecoveryManager;

beforeEach(() => {
  folder = scratch();
  writeFileSync(join(folder, 'data.txt'), 'data');
  dr = new DisasterRecoveryManager({
    service: 'test',
    key: passphrase,
    sources: [files(folder, { id: 'all' })],
    folder: join(folder, '.mnops', 'dr'),
  });
});

afterEach(async () => {
  await dr.stop();
  discard(folder);
});

/** Fields that a call complains about. */
async function fieldsOf(run: () => unknown): Promise<string[]> {
  try {
    await run();
  } catch (error) {
    const { code, details } = error as { code: string; details: { issues: { field: string; remedy: string }[] } };
    expect(code).toBe('MNOPS_CORE_CONFIG_INVALID');
    return details.issues.map(({ field }) => field);
  }
  return [];
}

describe('options of calls', () => {
  it('are refused by name when they are unknown or of the wrong kind, before anything happens', async () => {
    const period = { framework: 'soc2' as const, from: new Date(0), to: new Date() };
    const calls: readonly (readonly [() => unknown, readonly string[]])[] = [
      [() => dr.backup({ tag: ['x'] } as never), ['tag']],
      [() => dr.backup({ sources: 'all' } as never), ['sources']],
      [() => dr.restore({ target: { folder: '' } }), ['target.folder']],
      [() => dr.restore(undefined as never), ['']],
      [() => dr.restore({ target: { inPlace: true }, verfy: false } as never), ['verfy']],
      [() => dr.validate({ depth: 'deep' } as never), ['depth']],
      [() => dr.recoveryPoints({ form: new Date() } as never).next(), ['form']],
      [() => dr.drill({ ready, redy: ready } as never), ['plan.redy']],
      [() => dr.drill({ ready }, { kep: true } as never), ['options.kep']],
      [() => dr.recover({ stop: 5 } as never, {} as never), ['plan.stop', 'plan.ready', 'options.outageStartedAt']],
      [() => dr.recover({ ready }, { outageStartedAt: new Date(Number.NaN) }), ['options.outageStartedAt']],
      [() => dr.complianceReport({ ...period, framework: 'iso' } as never), ['framework']],
    ];
    for (const [run, fields] of calls) expect((await fieldsOf(run)).sort()).toEqual([...fields].sort());
    expect(existsSync(join(folder, '.mnops'))).toBe(false);
  });
});

describe('a source that holds the repository', () => {
  it('is backed up without it', async () => {
    await dr.backup();
    const second = await dr.backup();
    expect(second.files.map(({ path }) => path).filter((path) => path.includes('repository'))).toEqual([]);
    expect(second.leftOut).toContain('all/.mnops/dr/repository');
    await dr.restore({ target: { folder: join(folder, 'restored') } });
    expect(readFileSync(join(folder, 'restored', 'all', 'data.txt'), 'utf8')).toBe('data');
    expect(existsSync(join(folder, 'restored', 'all', '.mnops', 'dr', 'repository'))).toBe(false);
  });

  it('is not restored in place, and nothing is restored into the repository', async () => {
    await dr.backup();
    expect(await fieldsOf(() => dr.restore({ target: { inPlace: true } }))).toEqual(['sources.all']);
    const inside = join(folder, '.mnops', 'dr', 'repository', 'data');
    expect(await fieldsOf(() => dr.restore({ target: { folder: join(inside, 'new') } }))).toEqual(['target.folder']);
    mkdirSync(join(folder, 'other'));
    symlinkSync(inside, join(folder, 'other', 'link'));
    const linked = join(folder, 'other', 'link', 'new');
    expect(await fieldsOf(() => dr.restore({ target: { folder: linked } }))).toEqual(['target.folder']);
    expect((await dr.validate({ depth: 'full' })).findings).toEqual([]);
  });

  it('is refused when it stands inside the repository', async () => {
    await dr.start();
    const inside = new DisasterRecoveryManager({
      service: 'test',
      key: passphrase,
      sources: [files(join(folder, '.mnops', 'dr', 'repository', 'data'), { id: 'inside' })],
      folder: join(folder, '.mnops', 'dr'),
    });
    await expect(inside.backup()).rejects.toMatchObject({
      code: 'MNOPS_DR_BACKUP_INCOMPLETE',
      details: { result: { sources: [{ error: { code: 'MNOPS_CORE_CONFIG_INVALID' } }] } },
    });
    await inside.stop();
  });
});
