import { cp, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { serviceConfig } from './fixtures/service-config.js';
import { ContainerOrchestrationManager, local } from './index.js';
import { journalState } from './providers/local/state-store.js';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mnops-journal-'));
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

async function written(count: number): Promise<string> {
  const place = join(folder, 'whole');
  const store = await journalState(place, () => undefined);
  for (let index = 0; index < count; index += 1) await store.set(`key/${index}`, { number: index }, false);
  await store.close();
  return join(place, 'rollout.journal');
}

describe('the rollout journal', () => {
  it('opens with every byte flipped or cut in turn, says what it lost, and loses no more than that', async () => {
    const records = 4;
    const file = await written(records);
    const bytes = await readFile(file);
    const place = join(folder, 'damaged');
    await cp(join(folder, 'whole'), place, { recursive: true });
    const damaged = join(place, 'rollout.journal');
    for (let position = 0; position < bytes.length; position += 1) {
      const flipped = Buffer.from(bytes);
      flipped[position]! ^= 0xff;
      await writeFile(damaged, flipped);
      const store = await journalState(place, () => undefined);
      const left = store.list('key/').length;
      expect(left, `byte ${position}`).toBeGreaterThanOrEqual(records - 1);
      if (left < records) expect(store.damage.length, `byte ${position}`).toBeGreaterThan(0);
      await store.close();
    }
    // The header is there twice; a file that ends within it was never whole.
    const headerEnd = bytes.indexOf('{"key"') - 40;
    for (let size = bytes.length - 1; size > headerEnd; size -= 1) {
      await writeFile(damaged, bytes);
      await truncate(damaged, size);
      const store = await journalState(place, () => undefined);
      const whole = store.list('key/').length;
      await store.close();
      expect(whole, `cut at ${size}`).toBeLessThanOrEqual(records);
    }
  });

  it('keeps the last value of each key, also when it is made short', async () => {
    const place = join(folder, 'long');
    const store = await journalState(place, () => undefined);
    const long = 'x'.repeat(20_000);
    for (let index = 0; index < 120; index += 1) await store.set('key', `${index} ${long}`, false);
    await store.set('gone', 1, false);
    await store.set('gone', undefined, false);
    await store.close();
    expect((await readFile(join(place, 'rollout.journal'))).length).toBeLessThan(1_300_000);
    const again = await journalState(place, () => undefined);
    expect(String(again.get('key')).slice(0, 4)).toBe('119 ');
    expect(again.get('gone')).toBeUndefined();
    await again.close();
  });

  it('brings services back that lost their records, and says so', async () => {
    const place = join(folder, 'services');
    const first = new ContainerOrchestrationManager({ provider: local({ folder: place }) });
    await first.start();
    await first.deploy(serviceConfig({ replicas: 1 }));
    const before = await first.inspect('web');
    await first.stop();
    // Every record of the service's rollout is damaged; the descriptions of what runs are not.
    const file = join(place, 'rollout.journal');
    const bytes = await readFile(file);
    for (let at = bytes.indexOf('"record/web"'); at >= 0; at = bytes.indexOf('"record/web"', at + 1))
      bytes[at + 3]! ^= 1;
    await writeFile(file, bytes);
    const second = new ContainerOrchestrationManager({ provider: local({ folder: place }) });
    const damage: unknown[] = [];
    second.on('storage:damaged', (one) => damage.push(one));
    await second.start();
    expect(second.status).toBe('degraded');
    expect(damage.length).toBeGreaterThan(0);
    const after = await second.inspect('web');
    expect(after?.stableRevision).toBe(before?.stableRevision);
    expect(after?.address).toEqual(before?.address);
    await second.remove('web');
    await second.stop();
  });

  it('refuses a folder that cannot be used, and a file of another kind', async () => {
    const place = join(folder, 'file');
    await writeFile(place, 'not a folder');
    const manager = new ContainerOrchestrationManager({ provider: local({ folder: place }) });
    await expect(manager.start()).rejects.toMatchObject({ code: 'MNOPS_CORE_STORAGE_FAILED' });
    await manager.stop();
    await written(1);
    await writeFile(join(folder, 'whole', 'rollout.journal'), Buffer.alloc(500, 1));
    const other = new ContainerOrchestrationManager({ provider: local({ folder: join(folder, 'whole') }) });
    await expect(other.start()).rejects.toMatchObject({ code: 'MNOPS_CORE_STORAGE_UNREADABLE' });
    await other.stop();
  });
});
