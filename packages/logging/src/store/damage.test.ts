import { cp, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '@mnops/core';
import { openRecordLog } from '@mnops/core/files';
import type { NewLogEntry, StorageDamage } from '@mnops/core/spi';
import { testCall } from '@mnops/core/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loggerCore } from '../logger/logger-core.js';
import { matcherOf } from '../query/matcher.js';
import { pageOf } from '../query/position.js';
import { verifyStore } from '../recovery/verify-store.js';
import { type BlockStore, openBlockStore } from './block-store.js';
import { openMagic, openVersion } from './open-segment.js';
import { scanUnits, unitsOfBlock } from './segment.js';
import { storeReader } from './store-reader.js';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mnops-damage-'));
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

const clock = systemClock();
const { encode } = loggerCore({}, { name: 'test' }, clock, () => undefined);

function entry(index: number): NewLogEntry {
  return {
    stream: 's',
    timeMs: 1_000 + index,
    observedMs: 1_000 + index,
    level: 'info',
    severityNumber: 9,
    message: `message ${index}`,
    attributes: { index },
    resource: { 'service.name': 'test' },
  };
}

async function open(at: string, damage: StorageDamage[] = []): Promise<BlockStore> {
  return openBlockStore({
    folder: at,
    clock,
    blockBytes: 1 << 20,
    maxQueueBytes: 1 << 20,
    encode,
    events: {
      damaged: (each) => damage.push(each),
      failed: (error) => {
        throw error;
      },
      recovered: () => undefined,
      dropped: () => undefined,
    },
  });
}

async function read(at: string): Promise<{ indexes: number[]; damage: StorageDamage[]; partial: readonly string[] }> {
  const damage: StorageDamage[] = [];
  const store = await open(at, damage);
  try {
    const query = { sort: 'oldest-first', limit: 10_000, maxScanBytes: Number.POSITIVE_INFINITY } as const;
    const { entries, partial } = await store.search(query, testCall());
    return { indexes: entries.map(({ attributes }) => attributes['index'] as number), damage, partial };
  } finally {
    await store.close();
  }
}

/** As `read`, without a writer of its own: much quicker, for many changes. */
async function readOnly(at: string): Promise<Awaited<ReturnType<typeof read>>> {
  const damage: StorageDamage[] = [];
  const reader = storeReader(at, undefined, (each) => damage.push(each));
  const query = { sort: 'oldest-first', limit: 10_000, maxScanBytes: Number.POSITIVE_INFINITY } as const;
  const matcher = matcherOf(query);
  const page = pageOf(query);
  const units = (await reader.view()).flatMap(({ writer, blocks }) =>
    blocks.flatMap((block) => unitsOfBlock(block, writer, matcher)),
  );
  const limits = { newestFirst: false, maxBytes: Number.POSITIVE_INFINITY, signal: testCall().signal };
  const scan = await scanUnits(units, matcher, page, limits);
  await reader.close();
  damage.push(...scan.damage);
  const indexes = page.result().entries.map(({ attributes }) => attributes['index'] as number);
  return { indexes, damage, partial: damage.length > 0 ? ['storage-damaged'] : [] };
}

async function fileOf(at: string, pattern: RegExp): Promise<string> {
  const names = await readdir(join(at, 'writers'), { recursive: true });
  return join(at, 'writers', names.find((name) => pattern.test(name)) ?? 'missing');
}

/** Changes a file in one way after the other; what is read afterwards is judged by the caller. */
async function eachChange(
  at: string,
  file: string,
  step: number,
  judge: (change: string, offset: number) => Promise<void>,
): Promise<void> {
  const whole = await readFile(file);
  for (let offset = 0; offset < whole.length; offset += step) {
    const flipped = Buffer.from(whole);
    flipped[offset] = (flipped[offset] ?? 0) ^ 0x41;
    await writeFile(file, flipped);
    await judge('flip', offset);
    await writeFile(file, whole);
    await truncate(file, offset);
    await judge('cut', offset);
    await writeFile(file, whole);
  }
  expect(await verifyStore(at, new AbortController().signal)).toEqual([]);
}

describe('a sealed block', () => {
  it('opens with any byte flipped or the end cut, and loses no more than the damaged chunk', async () => {
    const store = await open(folder);
    for (let part = 0; part < 3; part += 1) {
      await store.append({ entries: Array.from({ length: 4 }, (_, index) => entry(part * 4 + index)) }, testCall());
      // A gap in the numbers makes the next entries a chunk of their own.
      store.writer.startAt(store.writer.nextSequence + 10);
    }
    await store.sealNow();
    await store.close();
    const file = await fileOf(folder, /\.block$/);
    const all = Array.from({ length: 12 }, (_, index) => index);
    const chunks = [all.slice(0, 4), all.slice(4, 8), all.slice(8)];
    const { size } = await readFile(file).then((bytes) => ({ size: bytes.length }));
    await eachChange(folder, file, 1, async (change, offset) => {
      const { indexes, damage, partial } = await (offset % 40 === 0 ? read(folder) : readOnly(folder));
      const lost = chunks.filter((chunk) => !chunk.every((index) => indexes.includes(index)));
      // Chunks are lost whole or not at all.
      expect(indexes, `${change} at ${offset}`).toEqual(all.filter((index) => !lost.flat().includes(index)));
      if (change === 'flip') {
        expect(lost.length, `flip at ${offset}`).toBeLessThanOrEqual(1);
      } else if (offset < 128) {
        // Both copies of the header are gone.
        expect(damage[0]?.code).toBe('MNOPS_CORE_STORAGE_UNREADABLE');
      }
      const told = damage.reduce((sum, each) => sum + each.records, 0);
      if (lost.length > 0) {
        expect(damage.length).toBeGreaterThan(0);
        expect(partial).toEqual(['storage-damaged']);
        if (damage[0]?.code === 'MNOPS_CORE_STORAGE_DAMAGED')
          expect(told, `${change} at ${offset}`).toBe(lost.flat().length);
      } else expect(told).toBe(0);
      if (change === 'flip' && offset >= size - 128) expect(damage).toHaveLength(1);
    });
  });
});

describe('an open log', () => {
  it('opens with any byte flipped or the end cut, and loses no more than the damaged write', async () => {
    const store = await open(folder);
    for (let index = 0; index < 4; index += 1) await store.append({ entries: [entry(index)] }, testCall());
    await store.close();
    const source = await fileOf(folder, /open-.*\.log$/);
    const whole = await readFile(source);
    const all = [0, 1, 2, 3];
    // A log cut right after a record is a shorter log: there is nothing to see.
    const log = await openRecordLog({ file: source, magic: openMagic, version: openVersion, readOnly: true });
    const ends = new Set([576]);
    for await (const { nextOffset } of log.records()) ends.add(nextOffset);
    await log.close();
    for (let offset = 0; offset < whole.length; offset += offset < 640 ? 16 : 3) {
      for (const change of ['flip', 'cut'] as const) {
        const copy = await mkdtemp(join(tmpdir(), 'mnops-damage-'));
        await cp(folder, copy, { recursive: true });
        const file = await fileOf(copy, /open-.*\.log$/);
        if (change === 'cut') await truncate(file, offset);
        else {
          const flipped = Buffer.from(whole);
          flipped[offset] = (flipped[offset] ?? 0) ^ 0x41;
          await writeFile(file, flipped);
        }
        const outcome = await read(copy);
        await rm(copy, { recursive: true });
        const lost = all.filter((index) => !outcome.indexes.includes(index));
        if (change === 'flip') expect(lost.length, `flip at ${offset}`).toBeLessThanOrEqual(1);
        else expect(outcome.indexes).toEqual(all.slice(0, outcome.indexes.length));
        if (lost.length > 0 && !(change === 'cut' && ends.has(offset)))
          expect(outcome.damage.length, `${change} at ${offset}`).toBeGreaterThan(0);
      }
    }
  });
});

describe('a file cut into its header', () => {
  it.each([
    ['open log', /open-.*\.log$/, 0],
    ['open log', /open-.*\.log$/, 63],
    ['checkpoints', /checkpoints\.log$/, 0],
    ['checkpoints', /checkpoints\.log$/, 63],
  ])('is set aside and told of, and the store goes on: %s %s %i', async (_, pattern, length) => {
    const store = await open(folder);
    await store.append({ entries: [entry(0)] }, testCall());
    await store.sealNow();
    await store.append({ entries: [entry(1)] }, testCall());
    await store.close();
    const file = await fileOf(folder, pattern);
    await truncate(file, length);
    const { indexes, damage, partial } = await read(folder);
    expect(indexes).toEqual(file.includes('open-') ? [0] : [0, 1]);
    expect(damage).toMatchObject([{ code: 'MNOPS_CORE_STORAGE_UNREADABLE', file: `${file}.bad`, records: 0 }]);
    expect(damage[0]?.remedy).toContain('unknown');
    expect(partial).toEqual(['storage-damaged']);
    expect((await readFile(`${file}.bad`)).length).toBe(length);
    const again = await open(folder);
    await again.append({ entries: [entry(2)] }, testCall());
    await again.close();
    expect((await read(folder)).indexes).toEqual([...indexes, 2]);
  });

  it.each([
    ['open log', /open-.*\.log$/, 0],
    ['open log', /open-.*\.log$/, 8],
    ['checkpoints', /checkpoints\.log$/, 0],
  ])('is set aside when both copies are zeroed, from byte %#: %s %s %i', async (_, pattern, from) => {
    const store = await open(folder);
    await store.append({ entries: [entry(0)] }, testCall());
    await store.sealNow();
    await store.append({ entries: [entry(1)] }, testCall());
    await store.close();
    const file = await fileOf(folder, pattern);
    const bytes = await readFile(file);
    for (const copy of [0, 512]) bytes.fill(0, copy + from, copy + 64);
    await writeFile(file, bytes);
    const { indexes, damage, partial } = await read(folder);
    expect(indexes).toEqual(file.includes('open-') ? [0] : [0, 1]);
    expect(damage).toMatchObject([{ code: 'MNOPS_CORE_STORAGE_UNREADABLE', file: `${file}.bad`, records: 0 }]);
    expect(partial).toEqual(['storage-damaged']);
    expect(await readFile(`${file}.bad`)).toEqual(bytes);
  });

  it('keeps its place when it may be whole for a newer version', async () => {
    const store = await open(folder);
    await store.append({ entries: [entry(0)] }, testCall());
    await store.close();
    const file = await fileOf(folder, /open-.*\.log$/);
    const whole = await readFile(file);
    for (const field of [8, 10]) {
      const newer = Buffer.from(whole);
      for (const copy of [0, 512]) newer.writeUInt16LE(2, copy + field);
      await writeFile(file, newer);
      await expect(open(folder)).rejects.toMatchObject({ code: 'MNOPS_CORE_STORAGE_UNREADABLE' });
      expect(await readFile(file)).toEqual(newer);
    }
  });

  it('of another writer is ignored and told of, and read again when its writer made a new one', async () => {
    const other = await open(folder);
    await other.append({ entries: [entry(0)] }, testCall());
    await other.close();
    const file = await fileOf(folder, /open-.*\.log$/);
    await truncate(file, 10);
    await truncate(await fileOf(folder, /checkpoints\.log$/), 10);
    const damage: StorageDamage[] = [];
    const reader = storeReader(folder, undefined, (each) => damage.push(each));
    expect((await reader.view()).flatMap(({ payloads }) => payloads)).toEqual([]);
    expect(await reader.checkpoint('s')).toBeUndefined();
    expect(damage.map(({ file: path }) => path)).toEqual([file, await fileOf(folder, /checkpoints\.log$/)]);
    const next = await open(folder);
    await next.append({ entries: [entry(1)] }, testCall());
    expect((await reader.view()).flatMap(({ payloads }) => payloads)).toHaveLength(1);
    await reader.close();
    await next.close();
  });

  it('of another version keeps its place, and no handle stays open after the refusal', async () => {
    const store = await open(folder);
    await store.append({ entries: [entry(0)] }, testCall());
    await store.close();
    const file = await fileOf(folder, /checkpoints\.log$/);
    await rm(file);
    await (await openRecordLog({ file, magic: 'MNLOGCKP', version: 99 })).close();
    const handles = async (): Promise<number> => (await readdir('/proc/self/fd')).length;
    const before = await handles();
    for (let attempt = 0; attempt < 5; attempt += 1)
      await expect(open(folder)).rejects.toMatchObject({ code: 'MNOPS_CORE_STORAGE_UNREADABLE' });
    expect(await handles()).toBeLessThan(before + 5);
    expect(await fileOf(folder, /checkpoints\.log$/)).toBe(file);
  });
});
