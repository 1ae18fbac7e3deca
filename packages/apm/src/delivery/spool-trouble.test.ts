import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openRecordLog } from '@mnops/core/files';
import { eventually, fakeClock, testCall } from '@mnops/core/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { spanOf } from '../testing/spans.js';
import {
  BackEnd,
  idsOf,
  numberedSpans,
  type SpooledDispatcher,
  spooledDispatcher,
} from '../testing/spooled-dispatcher.js';
import { spanCodec } from './span-codec.js';
import { batchOf } from './span-queue.js';
import { encodeSpansEntry } from './spool-record.js';
import { segmentMagic } from './spool-segment.js';

let parent: string;
let folder: string;
const open: SpooledDispatcher[] = [];

beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), 'mnops-spool-'));
  folder = join(parent, 'spool');
});
afterEach(async () => {
  for (const { dispatcher } of open.splice(0)) await dispatcher.close(new Error('end'));
  await rm(parent, { recursive: true, force: true });
});

function make(...rest: Parameters<typeof spooledDispatcher> extends [string, ...infer R] ? R : never) {
  const made = spooledDispatcher(folder, ...rest);
  open.push(made);
  return made;
}

async function started(...rest: Parameters<typeof make>): Promise<SpooledDispatcher> {
  const made = make(...rest);
  await made.opened;
  return made;
}

function willing(): BackEnd {
  const backEnd = new BackEnd();
  backEnd.takeAll();
  return backEnd;
}

/** Leaves spans of one ended process behind. */
async function leave(count: number, from = 0): Promise<void> {
  const { dispatcher } = await started(new BackEnd());
  for (const span of numberedSpans(count, from)) dispatcher.add(span);
  await dispatcher.close(new Error('stopped'));
}

const spoolFiles = async (): Promise<string[]> =>
  (await readdir(join(folder, 'one')))
    .filter((name) => name.endsWith('.spool'))
    .map((name) => join(folder, 'one', name));

const onDisk = ({ dispatcher }: SpooledDispatcher): number => dispatcher.stats.spool?.spans ?? 0;

function assertExact({ dispatcher: { stats } }: SpooledDispatcher): void {
  const dropped = Object.values(stats.dropped).reduce((sum, count) => sum + count, 0);
  expect(stats.delivered + stats.held + dropped).toBe(stats.accepted);
}

/** Puts a folder in the place of a file: it cannot be read, also by root. */
async function block(file: string): Promise<() => Promise<void>> {
  await rename(file, `${file}-aside`);
  await mkdir(file);
  return async () => {
    await rm(file, { recursive: true });
    await rename(`${file}-aside`, file);
  };
}

/** Every file that an ended process left. */
async function leftFiles(): Promise<string[]> {
  const facts = await Promise.all((await spoolFiles()).map(async (name) => ({ name, ...(await stat(name)) })));
  return facts.filter(({ size }) => size > 576).map(({ name }) => name);
}

/** A start on the files of three ended processes; the first of them is being read, the others cannot be. */
async function startedAtBlockedFiles() {
  for (let process = 0; process < 3; process += 1) await leave(5, process * 16);
  const left = await leftFiles();
  const backEnd = new BackEnd();
  const made = await started(backEnd);
  expect(made.dispatcher.stats.replayed).toBe(15);
  await eventually(() => backEnd.requests > 0);
  const ends = await Promise.all(left.map(block));
  backEnd.takeAll();
  const flushing = made.dispatcher.flush(testCall());
  const unblock = async (): Promise<void> => {
    for (const end of ends) await end();
  };
  return { made, backEnd, flushing, unblock };
}

describe('a file that cannot be read', () => {
  it('is read again, and its spans arrive', async () => {
    const { made, backEnd, flushing, unblock } = await startedAtBlockedFiles();
    await eventually(() => backEnd.taken.length > 0);
    await made.clock.advance(10_000);
    expect(made.dispatcher.stats.delivered).toBeLessThan(15);
    await unblock();
    await eventually(async () => {
      await made.clock.advance(1_000);
      return made.dispatcher.stats.delivered === 15;
    });
    await flushing;
    expect(made.dispatcher.stats.dropped['spool-damaged']).toBe(0);
    expect(new Set(backEnd.taken).size).toBe(15);
    assertExact(made);
  });

  it('is left alone after a while, kept, told of once, and sent when it can be read again', async () => {
    const { made, backEnd, flushing, unblock } = await startedAtBlockedFiles();
    await eventually(async () => {
      await made.clock.advance(10_000);
      return made.dispatcher.stats.held === 0;
    });
    await flushing;
    await made.clock.advance(90_000);
    const lost = made.dispatcher.stats.dropped['spool-damaged'];
    expect(lost).toBeGreaterThan(0);
    expect(made.log.filter((line) => line.startsWith('damaged')).length).toBeLessThanOrEqual(3);
    assertExact(made);
    await unblock();
    await eventually(async () => {
      await made.clock.advance(10_000);
      return new Set(backEnd.taken).size === 15;
    });
    assertExact(made);
  });
});

describe('a folder that is removed while it is in use', () => {
  it('is made again with all that is in memory, and belongs to its process', async () => {
    const made = await started(new BackEnd());
    for (const span of numberedSpans(25)) made.dispatcher.add(span);
    await made.clock.advance(1_000);
    await eventually(() => onDisk(made) === 25);
    await rm(folder, { recursive: true });
    for (const span of numberedSpans(5, 100)) made.dispatcher.add(span);
    await eventually(async () => {
      await made.clock.advance(1_000);
      return onDisk(made) === 30;
    });
    expect(made.log).toEqual(['failed MNOPS_CORE_STORAGE_FAILED', 'recovered']);
    assertExact(made);
    // Another process finds a living owner.
    const other = await started(willing());
    expect(other.dispatcher.stats.replayed).toBe(0);
    await made.dispatcher.close(new Error('stopped'));
    const backEnd = willing();
    const next = await started(backEnd);
    await next.dispatcher.flush(testCall());
    expect(new Set(backEnd.taken).size).toBe(30);
  });

  it('is found missing also while nothing is written', async () => {
    const made = await started(new BackEnd());
    for (const span of numberedSpans(5)) made.dispatcher.add(span);
    await made.clock.advance(1_000);
    await eventually(() => onDisk(made) === 5);
    await rm(folder, { recursive: true });
    await eventually(async () => {
      await made.clock.advance(10_000);
      return made.log.includes('recovered') && onDisk(made) === 5;
    });
    expect((await spoolFiles()).length).toBeGreaterThan(0);
  });
});

describe('a process that ends', () => {
  it('is not made anew by what was under way at the end', async () => {
    for (let turns = 0; turns < 12; turns += 1) {
      const made = await started(willing());
      await rm(folder, { recursive: true });
      await made.clock.advance(30_000);
      for (let turn = 0; turn < turns; turn += 1) await new Promise((resolve) => setImmediate(resolve));
      await made.dispatcher.close(new Error('stopped'));
      const names = (): Promise<string[]> => readdir(join(folder, 'one')).catch(() => []);
      const left = await names();
      expect(left.filter((name) => name.endsWith('.lock'))).toEqual([]);
      for (let turn = 0; turn < 50; turn += 1) await new Promise((resolve) => setImmediate(resolve));
      expect(await names()).toEqual(left);
    }
  });

  it('writes what can be written, though one span is too large for any record', async () => {
    const made = await started(new BackEnd(), { maxBytes: 1 << 28, batchSpans: 5 });
    const text = '\u4e00'.repeat(6_000_000);
    for (const span of [...numberedSpans(3), spanOf({ id: 'ffff', attributes: { text } }), ...numberedSpans(3, 10)]) {
      made.dispatcher.add(span);
    }
    expect(() => made.dispatcher.persistNow()).toThrow(/record/);
    expect(onDisk(made)).toBe(6);
    assertExact(made);
  });
});

describe('a spool', () => {
  it('says that it cannot write whatever the error is', async () => {
    const clock = fakeClock();
    let broken = true;
    const monotonic = (): number => {
      if (broken) throw new TypeError('no time');
      return clock.monotonic();
    };
    const made = await started(new BackEnd(), {}, {}, Object.assign(Object.create(clock), { monotonic }));
    expect(made.log).toEqual(['failed MNOPS_CORE_STORAGE_FAILED']);
    expect(made.dispatcher.stats.spool?.writable).toBe(false);
    broken = false;
    for (const span of numberedSpans(5)) made.dispatcher.add(span);
    await eventually(async () => {
      await clock.advance(5_000);
      return onDisk(made) === 5;
    });
    expect(made.log).toContain('recovered');
  });

  it('closes while it takes over what others left, and keeps no lock', async () => {
    for (let writer = 0; writer < 12; writer += 1) await leave(2, writer * 10);
    const first = make(new BackEnd());
    await eventually(() => first.dispatcher.stats.spool?.writable === true);
    await first.dispatcher.close(new Error('stopped'));
    await first.opened;
    expect((await readdir(join(folder, 'one'))).filter((name) => name.endsWith('.lock'))).toEqual([]);
    const backEnd = willing();
    const next = await started(backEnd);
    await next.dispatcher.flush(testCall());
    expect(new Set(backEnd.taken).size).toBe(24);
  });

  it('ends a flush when it is closed meanwhile', async () => {
    const made = await started(new BackEnd());
    for (const span of numberedSpans(5)) made.dispatcher.add(span);
    const flushing = made.dispatcher.flush(testCall());
    const ended = expect(flushing).rejects.toThrow('stopped');
    await made.dispatcher.close(new Error('stopped'));
    await ended;
    expect(made.dispatcher.stats.held).toBe(5);
  });

  it('counts ages by the time that passed, not by a wall clock that jumps', async () => {
    await leave(5);
    const made = await started(new BackEnd(), {}, { maxAgeMs: 3_600_000 });
    for (const span of numberedSpans(5, 100)) made.dispatcher.add(span);
    await eventually(async () => {
      await made.clock.advance(1_000);
      return onDisk(made) === 10;
    });
    for (const days of [30, -60]) {
      made.clock.jumpWallClock(days * 86_400_000);
      await made.clock.advance(31_000);
      for (const span of numberedSpans(1, 1_000 + days)) made.dispatcher.add(span);
      await eventually(async () => {
        await made.clock.advance(1_000);
        return onDisk(made) === made.dispatcher.stats.held;
      });
    }
    expect(made.dispatcher.stats).toMatchObject({ held: 12, spool: { spans: 12 } });
    await eventually(async () => {
      await made.clock.advance(600_000);
      return onDisk(made) === 0;
    });
    assertExact(made);
  });
});

describe('a folder with things that are not ours', () => {
  it('is used, and they are left alone', async () => {
    await leave(5);
    const at = join(folder, 'one');
    const foreign = [
      'notes.txt',
      '0123456789ab-000001.spool\u001b]0;title\u0007.spool',
      '0123456789ab-000001.spool\n.lock',
      'ABCDEF012345-000001.spool',
      '.0123456789ab-000001.spool.vimrc',
    ];
    for (const name of foreign) await writeFile(join(at, name), 'theirs');
    await mkdir(join(at, '0123456789ab-000002.spool'));
    execFileSync('mkfifo', [join(at, '0123456789ab-000003.spool'), join(at, 'abcdefabcdef.lock')]);
    const backEnd = willing();
    const made = await started(backEnd);
    await made.dispatcher.flush(testCall());
    expect(backEnd.taken.sort()).toEqual(idsOf(numberedSpans(5)).sort());
    expect(made.log).toEqual([]);
    expect(await readdir(at)).toEqual(expect.arrayContaining(foreign));
  });

  it('takes records with impossible figures for none', async () => {
    await mkdir(join(folder, 'one'), { recursive: true });
    const file = join(folder, 'one', '0123456789ab-000001.spool');
    const log = await openRecordLog({ file, magic: segmentMagic, version: 1 });
    const bytes = spanCodec.encode(batchOf(numberedSpans(2)));
    const odd = [
      [bytes, 0, 1],
      [bytes, 4_000_000_000, 1],
      [bytes, 2, Number.NaN],
      [bytes, 2, Number.NEGATIVE_INFINITY],
      [Buffer.from('no protobuf at all'), 2, 1],
      [bytes, 1, Date.UTC(2026, 0, 1)],
      [bytes, 2, Date.UTC(2026, 0, 1)],
    ] as const;
    for (const [spans, count, createdMs] of odd) await log.append(encodeSpansEntry(spans, count, createdMs));
    await log.close();
    const backEnd = willing();
    const made = await started(backEnd);
    await made.dispatcher.flush(testCall());
    expect(backEnd.taken).toHaveLength(2);
    expect(made.dispatcher.stats).toMatchObject({ held: 0, dropped: { 'spool-damaged': 3 } });
    await eventually(async () => (await spoolFiles()).length === 1);
    assertExact(made);
  });

  it('sets aside a file larger than any of ours without reading it', async () => {
    await mkdir(join(folder, 'one'), { recursive: true });
    const file = join(folder, 'one', '0123456789ab-000001.spool');
    const log = await openRecordLog({ file, magic: segmentMagic, version: 1 });
    await log.append(Buffer.from('x'));
    await log.close();
    execFileSync('truncate', ['-s', '8G', file]);
    const made = await started(willing());
    expect(made.log).toEqual(['damaged 1']);
    expect(await spoolFiles()).not.toContain(file);
  });

  it('tells once of what it cannot set aside', async () => {
    await mkdir(join(folder, 'one'), { recursive: true });
    await writeFile(join(folder, 'one', '0123456789ab-000001.spool'), 'MNAPMSPL and no more');
    await writeFile(join(folder, 'one', 'quarantine'), 'in the way');
    const made = await started(willing());
    for (let look = 0; look < 5; look += 1) {
      await made.clock.advance(30_000);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    expect(made.log).toEqual(['damaged 1']);
    expect(made.dispatcher.stats.spool?.damagedRecords).toBe(1);
  });
});
