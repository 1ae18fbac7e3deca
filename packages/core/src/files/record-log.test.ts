import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemFiles } from './file-calls.js';
import { openFileRecordLog } from './file-record-log.js';
import { recordHeaderBytes, recordsAt } from './record-format.js';
import { openRecordLog, type RecordLog, type RecordLogOptions } from './record-log.js';

const kind = { magic: 'MNTESTLG', version: 3 } as const;
const text = (value: string): Buffer => Buffer.from(value);
let folder: string;
let file: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mnops-log-'));
  file = join(folder, 'a.log');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function read(log: RecordLog, fromOffset?: number): Promise<string[]> {
  const found: string[] = [];
  for await (const record of log.records({ fromOffset })) {
    found.push(`${record.sequence}:${Buffer.from(record.payload).toString()}`);
  }
  return found;
}

async function sample(payloads: readonly string[]): Promise<Buffer> {
  const log = await openFast({ file, ...kind });
  for (const payload of payloads) await log.append(text(payload));
  await log.close();
  return readFile(file);
}

describe('openRecordLog', () => {
  it('reads back what was appended, with numbers and positions to go on from', async () => {
    const log = await openRecordLog({ file, ...kind });
    expect(await log.append(text('one'))).toEqual({ firstSequence: 0, offset: recordsAt });
    expect(await log.append([text('two'), text('')])).toMatchObject({ firstSequence: 1 });
    expect(await read(log)).toEqual(['0:one', '1:two', '2:']);
    const from = recordsAt + recordHeaderBytes + 3;
    expect(await read(log, from)).toEqual(['1:two', '2:']);
    await log.close();
    const again = await openRecordLog({ file, ...kind });
    expect(again.damage).toEqual([]);
    expect(again.nextSequence).toBe(3);
    expect(again.id).toBe(log.id);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    await again.close();
  });

  it('lets a reader see what a writer appends later, and the file that replaces it', async () => {
    const writer = await openRecordLog({ file, ...kind });
    await writer.append(text('a'));
    const reader = await openRecordLog({ file, ...kind, readOnly: true });
    expect(await read(reader)).toEqual(['0:a']);
    const from = reader.sizeBytes;
    await writer.append(text('b'));
    expect(await read(reader, from)).toEqual(['1:b']);
    const old = reader.id;
    await writer.rewrite([text('x'), text('y')]);
    await writer.append(text('z'));
    expect(await read(reader, reader.sizeBytes)).toEqual(['0:x', '1:y', '2:z']);
    expect(reader.id).not.toBe(old);
    expect(reader.id).toBe(writer.id);
    await expect(reader.append(text('no'))).rejects.toMatchObject({ code: 'MNOPS_CORE_UNSUPPORTED' });
    await Promise.all([reader.close(), writer.close()]);
  });

  it('puts appendSync after everything that waits', async () => {
    const log = await openRecordLog({ file, ...kind });
    const waiting = [log.append(text('1')), log.append(text('2'), { sync: false })];
    log.appendSync(text('3'));
    const later = log.append(text('4'));
    await Promise.all([...waiting, later]);
    expect(await read(log)).toEqual(['0:1', '1:2', '2:3', '3:4']);
    await log.close();
  });

  it('puts appendSync after a write in flight', async () => {
    const log = await openRecordLog({ file, ...kind });
    const first = log.append(text('1'));
    await Promise.resolve();
    await Promise.resolve();
    log.appendSync(text('2'));
    await first;
    await log.append(text('3'));
    expect(await read(log)).toEqual(['0:1', '1:2', '2:3']);
    await log.close();
    expect((await openAndRead()).damage).toBe(0);
  });

  it('keeps what appendSync wrote while a rewrite runs', async () => {
    const log = await openRecordLog({ file, ...kind });
    await log.append(text('old'));
    const rewriting = log.rewrite([text('new')]);
    log.appendSync(text('late'));
    await rewriting;
    expect(await read(log)).toEqual(['0:new', '1:late']);
    await log.close();
  });

  it('refuses a file of another kind or version, and one that is no log', async () => {
    await sample(['a']);
    await expect(openRecordLog({ file, magic: 'MNOTHERS', version: 3 })).rejects.toThrow(/MNTESTLG/);
    await expect(openRecordLog({ file, magic: 'MNTESTLG', version: 4 })).rejects.toThrow(/version 3/);
    await writeFile(file, 'just some text');
    await expect(openRecordLog({ file, ...kind })).rejects.toMatchObject({ code: 'MNOPS_CORE_STORAGE_UNREADABLE' });
    await expect(openRecordLog({ file: join(folder, 'none'), ...kind, readOnly: true })).rejects.toMatchObject({
      code: 'MNOPS_CORE_STORAGE_FAILED',
      details: { reason: 'ENOENT' },
    });
  });

  it('refuses a record over its limit, and any use after close', async () => {
    const log = await openRecordLog({ file, ...kind, maxRecordBytes: 4 });
    await expect(log.append(text('12345'))).rejects.toMatchObject({ code: 'MNOPS_CORE_TOO_LARGE' });
    await log.close();
    await log.close();
    await expect(log.append(text('1'))).rejects.toMatchObject({ code: 'MNOPS_CORE_CLOSED' });
    expect(() => log.appendSync(text('1'))).toThrow(/closed/);
  });

  it('keeps every acknowledged record under random appends, rewrites and openings', async () => {
    const step = fc.oneof(
      fc.record({ do: fc.constant('append' as const), sizes: fc.array(fc.nat(300), { maxLength: 5 }) }),
      fc.record({ do: fc.constant('sync' as const), size: fc.nat(50) }),
      fc.record({ do: fc.constant('rewrite' as const), keep: fc.nat(3) }),
      fc.record({ do: fc.constant('reopen' as const) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 20 }), async (steps) => {
        await rm(file, { force: true });
        let log = await openRecordLog({ file, ...kind });
        let model: string[] = [];
        let counter = 0;
        const payload = (size: number): Buffer => Buffer.alloc(size, `${counter++},`);
        for (const one of steps) {
          if (one.do === 'append') {
            const payloads = one.sizes.map(payload);
            await log.append(payloads, { sync: false });
            model.push(...payloads.map(String));
          } else if (one.do === 'sync') {
            const bytes = payload(one.size);
            log.appendSync(bytes);
            model.push(String(bytes));
          } else if (one.do === 'rewrite') {
            model = model.slice(0, one.keep);
            await log.rewrite(model.map(text));
          } else {
            await log.close();
            log = await openRecordLog({ file, ...kind });
          }
        }
        expect(await read(log)).toEqual(model.map((value, index) => `${index}:${value}`));
        expect(log.damage).toEqual([]);
        expect(log.nextSequence).toBe(model.length);
        await log.close();
      }),
      { numRuns: 40 },
    );
  });
});

/** Without waiting for the disk: these tests open a file thousands of times. */
const openFast = (options: RecordLogOptions): Promise<RecordLog> =>
  openFileRecordLog(options, { ...systemFiles, sync: async () => undefined });

async function openAndRead(readOnly = false): Promise<{ records: string[]; damage: number; lost: number }> {
  const log = await openFast({ file, ...kind, readOnly });
  try {
    const records = await read(log);
    return { records, damage: log.damage.length, lost: log.damage.reduce((sum, one) => sum + one.records, 0) };
  } finally {
    await log.close();
  }
}

describe('a damaged log', () => {
  const payloads = ['first', '', 'third record', 'x'.repeat(40), 'last'];
  const all = payloads.map((payload, index) => `${index}:${payload}`);
  const ends: number[] = [];
  let at = recordsAt;
  for (const payload of payloads) {
    at += recordHeaderBytes + payload.length;
    ends.push(at);
  }

  it.each([false, true])(
    'opens with any one byte flipped, losing at most the record it stands in (readOnly %s)',
    async (readOnly) => {
      const whole = await sample(payloads);
      for (let index = 0; index < whole.length; index++) {
        const bytes = Buffer.from(whole);
        bytes[index] = (bytes[index] as number) ^ (1 << (index % 8));
        await writeFile(file, bytes);
        const found = await openAndRead(readOnly);
        const hit = ends.findIndex((end) => index < end);
        if (index < recordsAt) {
          expect(found.records, `byte ${index}`).toEqual(all);
          expect(found.lost).toBe(0);
          expect(found.damage).toBe(index < 64 || index >= 512 ? 1 : 0);
        } else {
          expect(found.records, `byte ${index}`).toEqual(all.filter((_, number) => number !== hit));
          expect(found).toMatchObject({ damage: 1, lost: 1 });
        }
      }
    },
  );

  it('opens cut at any length that leaves one header, and goes on', async () => {
    const whole = await sample(payloads);
    for (let length = 0; length < whole.length; length++) {
      await writeFile(file, whole.subarray(0, length));
      if (length < 64) {
        await expect(openFast({ file, ...kind })).rejects.toMatchObject({ code: 'MNOPS_CORE_STORAGE_UNREADABLE' });
        continue;
      }
      const kept = all.filter((_, number) => (ends[number] as number) <= length);
      expect((await openAndRead(true)).records).toEqual(kept);
      const log = await openFast({ file, ...kind });
      const cutInside = length !== recordsAt && !ends.includes(length);
      expect(log.damage.length > 0, `length ${length}`).toBe(cutInside);
      await log.append(text('more'));
      expect(await read(log)).toEqual([...kept, `${kept.length}:more`]);
      await log.close();
      expect(await openAndRead()).toMatchObject({ damage: 0 });
    }
  });

  it('counts records lost in a row, and does not give the number of a lost last record again', async () => {
    const whole = await sample(payloads);
    whole.fill(0xff, (ends[0] as number) + 3, (ends[2] as number) - 3);
    await writeFile(file, whole);
    expect(await openAndRead()).toMatchObject({ records: [all[0], all[3], all[4]], damage: 1, lost: 2 });
    whole.fill(0xff, ends[3] as number);
    await writeFile(file, whole);
    const log = await openFast({ file, ...kind });
    expect(log.damage.map((one) => one.records)).toEqual([2, 1]);
    await log.append(text('new'));
    expect((await read(log)).at(-1)).toBe('5:new');
    await log.close();
    expect(await openAndRead()).toMatchObject({ lost: 3 });
  });

  it('cuts off the zeros that a power cut leaves at the end', async () => {
    const whole = await sample(payloads);
    await writeFile(file, Buffer.concat([whole, Buffer.alloc(5_000)]));
    const log = await openFast({ file, ...kind });
    expect(log.damage.map((one) => one.records)).toEqual([0]);
    await log.append(text('more'));
    await log.close();
    expect(await openAndRead()).toMatchObject({ records: [...all, '5:more'], damage: 0 });
  });

  it('mends a damaged copy of the header, and refuses when both are damaged', async () => {
    const whole = await sample(payloads);
    whole[5] = 0;
    await writeFile(file, whole);
    await openAndRead();
    expect(await openAndRead()).toMatchObject({ damage: 0 });
    whole[520] = 0;
    await writeFile(file, whole);
    await expect(openFast({ file, ...kind })).rejects.toThrow(/both copies/);
  });

  it('reads every record outside a random damaged region', async () => {
    const many = Array.from({ length: 60 }, (_, index) => `record ${index} ${'y'.repeat((index * 37) % 90)}`);
    const whole = await sample(many);
    const starts: number[] = [];
    let position = recordsAt;
    for (const payload of many) {
      starts.push(position);
      position += recordHeaderBytes + payload.length;
    }
    await fc.assert(
      fc.asyncProperty(
        fc.nat(whole.length),
        fc.integer({ min: 1, max: 900 }),
        fc.nat(255),
        async (from, length, byte) => {
          const bytes = Buffer.from(whole);
          const start = Math.max(from, 64);
          bytes.fill(byte, start, Math.min(start + length, bytes.length));
          await writeFile(file, bytes);
          const { records } = await openAndRead(true);
          const safe = many.filter((payload, index) => {
            const begin = starts[index] as number;
            return begin + recordHeaderBytes + payload.length <= start || begin >= start + length;
          });
          for (const payload of safe) expect(records.some((record) => record.endsWith(payload))).toBe(true);
        },
      ),
      { numRuns: 60 },
    );
  });
});
