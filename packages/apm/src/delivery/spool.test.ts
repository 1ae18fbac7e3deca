import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { coreError } from '@mnops/core';
import type { Span } from '@mnops/core/spi';
import { eventually, testCall } from '@mnops/core/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { apmError } from '../codes.js';
import { spanOf } from '../testing/spans.js';
import {
  BackEnd,
  idsOf,
  numberedSpans,
  type SpooledDispatcher,
  spooledDispatcher,
} from '../testing/spooled-dispatcher.js';
import type { Dispatcher } from './dispatcher.js';

type Options = [...extra: Parameters<typeof spooledDispatcher> extends [string, BackEnd, ...infer R] ? R : never];

let folder: string;
const open: Dispatcher[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mnops-spool-'));
});
afterEach(async () => {
  for (const dispatcher of open.splice(0)) await dispatcher.close(new Error('end'));
  await rm(folder, { recursive: true, force: true });
});

async function make(backEnd: BackEnd, ...more: Options): Promise<SpooledDispatcher> {
  const made = spooledDispatcher(folder, backEnd, ...more);
  open.push(made.dispatcher);
  await made.opened;
  return made;
}

const spans = numberedSpans;
const ids = idsOf;

function add(dispatcher: Dispatcher, list: readonly Span[]): void {
  for (const span of list) dispatcher.add(span);
}

function assertExact({ stats }: Dispatcher): void {
  const dropped = Object.values(stats.dropped).reduce((sum, count) => sum + count, 0);
  expect(stats.delivered + stats.held + dropped).toBe(stats.accepted);
}

async function segments(): Promise<string[]> {
  return (await readdir(join(folder, 'one'))).filter((name) => name.endsWith('.spool'));
}

describe('a dispatcher with a spool', () => {
  it('leaves undelivered spans to the next process', async () => {
    const backEnd = new BackEnd();
    const first = await make(backEnd);
    add(first.dispatcher, spans(35));
    await first.dispatcher.close(new Error('stopped'));
    expect(first.dispatcher.stats).toMatchObject({ held: 35, delivered: 0 });
    expect(first.log).toEqual([]);
    assertExact(first.dispatcher);

    backEnd.takeAll();
    const second = await make(backEnd);
    expect(second.dispatcher.stats).toMatchObject({ replayed: 35, accepted: 35 });
    await second.dispatcher.flush(testCall());
    expect(second.dispatcher.stats).toMatchObject({ delivered: 35, held: 0 });
    expect(backEnd.taken.sort()).toEqual(ids(spans(35)).sort());
    await second.dispatcher.close(new Error('stopped'));
    expect(await segments()).toEqual([]);
    expect((await readdir(join(folder, 'one'))).filter((name) => name !== 'quarantine')).toEqual([]);
  });

  it('writes nothing while the back end takes the spans', async () => {
    const backEnd = new BackEnd();
    backEnd.takeAll();
    const { dispatcher, clock } = await make(backEnd);
    for (let round = 1; round <= 5; round += 1) {
      add(dispatcher, spans(7, round * 100));
      await clock.advance(600);
      await eventually(() => dispatcher.stats.delivered === round * 7);
    }
    expect(dispatcher.stats.spool).toMatchObject({ segments: 1, bytes: 576, spans: 0, writable: true });
  });

  it('has every span on disk one interval after it ended, and takes a delivered one off', async () => {
    const backEnd = new BackEnd();
    const { dispatcher, clock } = await make(backEnd);
    add(dispatcher, spans(35));
    await clock.advance(1_000);
    await eventually(() => dispatcher.stats.spool?.spans === 35);
    // Two requests pass, then the back end is away again.
    let passed = 0;
    backEnd.answer = (list) => {
      passed += 1;
      return passed <= 2 ? { accepted: list.length, rejected: 0 } : coreError('MNOPS_CORE_UNAVAILABLE', 'away');
    };
    await clock.advance(60_000);
    await eventually(() => dispatcher.stats.spool?.spans === 15);
    const delivered = backEnd.taken.length;
    expect(delivered).toBe(20);
    assertExact(dispatcher);
    await crash();
    const next = new BackEnd();
    next.takeAll();
    const second = await make(next);
    await second.dispatcher.flush(testCall());
    expect(next.taken.sort()).toEqual(ids(spans(15, 20)).sort());
  });

  it('spills what memory has no room for, and loses none of it', async () => {
    const backEnd = new BackEnd();
    const { dispatcher, log } = await make(backEnd, { maxSpans: 40 });
    for (let turn = 0; turn < 50; turn += 1) {
      add(dispatcher, spans(10, turn * 10));
      await eventually(() => dispatcher.stats.spool !== undefined && turn >= 0);
      await new Promise((resolve) => setImmediate(resolve));
      await eventually(() => (dispatcher.stats.spool?.spans ?? 0) >= turn * 10 - 40);
    }
    expect(dispatcher.stats).toMatchObject({ held: 500, accepted: 500 });
    expect(log).toEqual([]);
    backEnd.takeAll();
    await dispatcher.flush(testCall());
    expect(dispatcher.stats).toMatchObject({ delivered: 500, held: 0 });
    expect(new Set(backEnd.taken).size).toBe(500);
  });

  it('drops in one turn what is over twice the bound: there is no time to write', async () => {
    const { dispatcher, log } = await make(new BackEnd(), { maxSpans: 40, batchSpans: 1_000 });
    add(dispatcher, spans(100));
    expect(log).toHaveLength(20);
    expect(dispatcher.stats).toMatchObject({ held: 80, dropped: { 'queue-full': 20 } });
  });

  it('gives up the oldest segments when there are too many bytes, and what is too old', async () => {
    const text = 'x'.repeat(30_000);
    const { dispatcher, clock } = await make(new BackEnd(), { maxBytes: 200_000 }, { maxBytes: 1_048_576 });
    let made = 0;
    await eventually(async () => {
      made += 1;
      dispatcher.add(spanOf({ id: `${made}`, attributes: { text } }));
      await clock.advance(1_000);
      return lost(dispatcher) > 0;
    });
    expect(made).toBeGreaterThan(25);
    expect(dispatcher.stats.spool?.bytes).toBeLessThanOrEqual(1_048_576 + 200_000);
    assertExact(dispatcher);
    const before = dispatcher.stats.held;
    await clock.advance(2 * 86_400_000);
    await eventually(() => dispatcher.stats.dropped['spool-expired'] > 0);
    assertExact(dispatcher);
    expect(dispatcher.stats.held).toBeLessThan(before);
  });

  it('sets aside what is refused three times, and delivers what was sent with it', async () => {
    const backEnd = new BackEnd();
    const { dispatcher, clock, log } = await make(backEnd, { batchSpans: 20 });
    const poison = spanOf({ id: 'bad' });
    for (const list of [spans(5), [poison], spans(5, 10)]) {
      add(dispatcher, list);
      await clock.advance(1_000);
      await eventually(() => (dispatcher.stats.spool?.spans ?? 0) === dispatcher.stats.accepted);
    }
    let refusals = 0;
    backEnd.answer = (list) => {
      if (!list.includes(poison.spanId)) return { accepted: list.length, rejected: 0 };
      refusals += 1;
      return apmError('MNOPS_APM_EXPORT_REJECTED', 'bad data');
    };
    await dispatcher.flush(testCall());
    expect(dispatcher.stats).toMatchObject({ delivered: 10, held: 0, dropped: { rejected: 1 } });
    expect(log).toEqual(['rejected 1']);
    expect(refusals).toBeGreaterThanOrEqual(3);
    expect(dispatcher.stats.spool?.quarantinedBytes).toBeGreaterThan(576);
    const kept = await readdir(join(folder, 'one', 'quarantine'));
    expect(kept).toHaveLength(1);
  });

  it('holds spans while the credential is wrong', async () => {
    const backEnd = new BackEnd();
    backEnd.answer = () => coreError('MNOPS_CORE_UNAUTHENTICATED', 'wrong key');
    const { dispatcher } = await make(backEnd);
    add(dispatcher, spans(10));
    await eventually(() => dispatcher.stats.down);
    expect(dispatcher.stats).toMatchObject({ held: 10, dropped: { failed: 0 } });
    backEnd.takeAll();
    await dispatcher.flush(testCall());
    expect(dispatcher.stats.delivered).toBe(10);
  });

  it('starts through damage, says what is lost, and replays the rest', async () => {
    const first = await make(new BackEnd());
    add(first.dispatcher, spans(30));
    await first.dispatcher.close(new Error('stopped'));
    const [name = ''] = await segments();
    const file = join(folder, 'one', name);
    const bytes = await readFile(file);
    bytes[700] = (bytes[700] ?? 0) ^ 1;
    await writeFile(file, bytes);
    await writeFile(join(folder, 'one', '0123456789ab-000001.spool'), 'MNAPMSPL but no more than that');
    const backEnd = new BackEnd();
    backEnd.takeAll();
    const second = await make(backEnd);
    await second.dispatcher.flush(testCall());
    expect(second.log).toEqual(['damaged 1', 'damaged 1']);
    expect(second.dispatcher.stats).toMatchObject({ replayed: 20, delivered: 20, held: 0 });
    expect(second.dispatcher.stats.spool).toMatchObject({ damagedRecords: 2, spans: 0 });
    expect(await readdir(join(folder, 'one', 'quarantine'))).toEqual(['0123456789ab-000001.spool']);
    expect(backEnd.taken.every((id) => ids(spans(30)).includes(id))).toBe(true);
  });

  it('leaves the segments of a living process alone', async () => {
    const first = await make(new BackEnd());
    add(first.dispatcher, spans(10));
    await first.clock.advance(1_000);
    await eventually(() => first.dispatcher.stats.spool?.spans === 10);
    const second = await make(new BackEnd());
    expect(second.dispatcher.stats).toMatchObject({ replayed: 0, held: 0 });
    await first.dispatcher.close(new Error('stopped'));
    // It looks again while it runs.
    await second.clock.advance(30_000);
    await eventually(() => second.dispatcher.stats.replayed === 10);
  });

  it('holds spans in memory while the disk takes nothing, says so once, and goes on when it does', async () => {
    await writeFile(join(folder, 'one'), 'in the way');
    const { dispatcher, clock, log } = await make(new BackEnd(), { maxSpans: 40, batchSpans: 1_000 });
    add(dispatcher, spans(60));
    await clock.advance(31_000);
    expect(log.filter((line) => line.startsWith('failed'))).toEqual(['failed MNOPS_CORE_STORAGE_FAILED']);
    expect(dispatcher.stats).toMatchObject({ held: 40, dropped: { 'queue-full': 20 }, spool: { writable: false } });
    await rm(join(folder, 'one'));
    await clock.advance(30_000);
    await eventually(() => log.includes('recovered'));
    await eventually(async () => {
      await clock.advance(1_000);
      return dispatcher.stats.spool?.spans === 40;
    });
    assertExact(dispatcher);
  });

  it('writes at once for a process that ends, and does not write twice', async () => {
    const backEnd = new BackEnd();
    const { dispatcher, clock } = await make(backEnd);
    add(dispatcher, spans(25));
    await eventually(() => backEnd.requests > 0);
    dispatcher.persistNow();
    dispatcher.persistNow();
    expect(dispatcher.stats.spool?.spans).toBe(25);
    expect(dispatcher.stats.held).toBe(25);
    await crash();
    const next = new BackEnd();
    next.takeAll();
    const second = await make(next);
    await second.dispatcher.flush(testCall());
    expect(next.taken.sort()).toEqual(ids(spans(25)).sort());
    await clock.advance(1_000);
  });

  it('makes few records of many small ones', async () => {
    const { dispatcher, clock } = await make(new BackEnd(), { batchSpans: 64 });
    for (let i = 0; i < 200; i += 1) {
      dispatcher.add(spanOf({ id: (i + 1).toString(16) }));
      await eventually(async () => {
        await clock.advance(1_000);
        return dispatcher.stats.spool?.spans === i + 1;
      });
    }
    await crash();
    const next = new BackEnd();
    next.takeAll();
    const second = await make(next, { batchSpans: 64 });
    await second.dispatcher.flush(testCall());
    expect(new Set(next.taken).size).toBe(200);
    expect(next.taken).toHaveLength(200);
  });
});

function lost({ stats }: Dispatcher): number {
  return stats.dropped['spool-full'];
}

/** As after a kill: the files are there, their process is not. */
async function crash(): Promise<void> {
  const left = join(folder, '..', `${folder.split('/').at(-1)}-left`);
  await cp(folder, left, { recursive: true });
  await Promise.all(open.splice(0).map(async (dispatcher) => await dispatcher.close(new Error('end'))));
  await rm(folder, { recursive: true, force: true });
  await cp(left, folder, { recursive: true });
  await rm(left, { recursive: true, force: true });
  for (const name of await readdir(join(folder, 'one'))) {
    if (name.endsWith('.lock')) await rm(join(folder, 'one', name));
  }
}
