import { coreError } from '@mnops/core';
import { describe, expect, it } from 'vitest';
import { spanOf } from '../testing/spans.js';
import { HeldSpans } from './held-spans.js';
import { spanCodec } from './span-codec.js';
import type { Spool } from './spool.js';
import type { SpoolRecord } from './spool-segment.js';

const limits = { maxSpans: 1_000, maxBytes: 16_777_216, batchSpans: 64 };

/** A spool whose writes wait until they are told to go on or to fail. */
class SlowSpool {
  readonly records = new Set<SpoolRecord>();
  readonly waiting: { go(): void; fail(): void }[] = [];
  readonly writable = true;
  slow = false;

  async append(_: Uint8Array, count: number): Promise<SpoolRecord> {
    if (this.slow) {
      await new Promise<void>((go, fail) => {
        this.waiting.push({ go, fail: () => fail(coreError('MNOPS_CORE_STORAGE_FAILED', 'The disk is full.')) });
      });
    }
    return this.appendSync(_, count);
  }

  appendSync(_: Uint8Array, count: number): SpoolRecord {
    const record = { count } as SpoolRecord;
    this.records.add(record);
    return record;
  }

  async delivered(records: readonly SpoolRecord[]): Promise<void> {
    for (const record of records) this.records.delete(record);
  }

  get spans(): number {
    return [...this.records].reduce((sum, { count }) => sum + count, 0);
  }
}

/** Thirty-two spans, each written alone, while the one batch of all of them is on its way to the disk and to the back end. */
async function mergedOnItsWay() {
  const spool = new SlowSpool();
  const held = new HeldSpans(limits, { monotonic: () => 0 }, () => undefined);
  held.attach({ spool: spool as unknown as Spool, codec: spanCodec });
  for (let i = 1; i <= 31; i += 1) {
    held.add(spanOf({ id: i.toString(16) }));
    await held.persist();
  }
  held.add(spanOf({ id: 'ff' }));
  let merging: Promise<void> | undefined;
  await new Promise<void>((resolve) => {
    const append = spool.append.bind(spool);
    spool.append = async (bytes, count) => {
      spool.slow = count > 1;
      const written = append(bytes, count);
      if (count > 1) resolve();
      return await written;
    };
    merging = held.persist();
  });
  expect(spool.spans).toBe(32);
  const taken = await held.take(64);
  expect(taken.map(({ count }) => count)).toEqual([32]);
  return {
    spool,
    held,
    taken,
    merging: merging as Promise<void>,
    write: spool.waiting[0] as { go(): void; fail(): void },
  };
}

describe('small batches that were made one', () => {
  it('stay on disk while that one is sent and could not be written', async () => {
    const { spool, held, taken, merging, write } = await mergedOnItsWay();
    write.fail();
    await merging;
    expect(spool.spans).toBe(32);
    // The process may end now: nothing is lost, and nothing is written twice.
    held.persistNow();
    expect(spool.spans).toBe(32);
    held.settle(taken);
    expect([spool.spans, held.held]).toEqual([0, 0]);
  });

  it('go from disk once that one is written, also when it is delivered already', async () => {
    const first = await mergedOnItsWay();
    first.write.go();
    await first.merging;
    expect([first.spool.records.size, first.spool.spans]).toEqual([1, 32]);
    const second = await mergedOnItsWay();
    second.held.settle(second.taken);
    second.write.go();
    await second.merging;
    expect([second.spool.spans, second.held.held]).toEqual([0, 0]);
  });

  it('are held on disk when that one comes back and the delivery ends', async () => {
    const { spool, held, taken, merging, write } = await mergedOnItsWay();
    write.fail();
    await merging;
    held.giveBack(taken);
    expect(held.abandon()).toBe(0);
    expect([spool.spans, held.held, held.onDisk]).toEqual([32, 32, 32]);
  });
});
