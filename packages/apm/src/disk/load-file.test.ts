import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openRecordLog } from '@mnops/core/files';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ProcessLoad } from '../analysis/forecast/load-history.js';
import { loadFiles, type ReadLoad, readLoad, writeLoad } from './load-file.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mnops-apm-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

const list = (...values: number[]): Float32Array => Float32Array.from(values);
const operationOf = (name: string, first: number): ProcessLoad['operations'][number] => ({
  operation: { service: 'shop', name, kind: 'server' },
  runs: [
    { firstStep: first, covered: list(1, 0), calls: list(2, 0), errors: list(1, 0), durationMs: list(2.5, 0) },
    { firstStep: first + 9, covered: list(3), calls: list(0), errors: list(0), durationMs: list(0) },
  ],
});
const load: ProcessLoad = {
  stepMs: 300_000,
  bucketMs: 10_000,
  untilMs: 1_700_000_100_000,
  operations: [operationOf('GET /', 5_666_667), operationOf('GET /ä', 5_666_000)],
};

/** What is read, or the code with which the file is refused. */
async function read(id: string): Promise<ReadLoad | string> {
  return await readLoad(folder, id).catch((error: { code: string }) => error.code);
}

describe('a file of load', () => {
  it('comes back as it was written, and is replaced whole', async () => {
    await writeLoad(folder, 'aa', { ...load, operations: [] });
    await writeLoad(folder, 'aa', load);
    expect(await readLoad(folder, 'aa')).toEqual({
      load: { ...load, operations: load.operations.map((operation) => expect.objectContaining(operation)) },
      damage: [],
    });
    expect(await readdir(folder)).toEqual(['aa.load']);
  });

  it('is written as it is at one instant', async () => {
    const [first] = load.operations;
    const covered = list(1, 0);
    const changing = { operation: first?.operation, runs: [{ ...first?.runs[0], covered }] };
    const writing = writeLoad(folder, 'aa', { ...load, operations: [changing as (typeof load.operations)[number]] });
    covered.fill(7);
    await writing;
    expect((await readLoad(folder, 'aa')).load.operations[0]?.runs[0]?.covered).toEqual(list(1, 0));
  });

  it('gives only what is whole and tells what is lost, cut at every length and with every byte flipped', {
    timeout: 120_000,
  }, async () => {
    await writeLoad(folder, 'aa', load);
    const bytes = await readFile(loadFiles.pathOf(folder, 'aa'));
    const whole = await readLoad(folder, 'aa');
    const written = new Set(whole.load.operations.map((operation) => JSON.stringify(operation)));
    let [refused, damaged] = [0, 0];
    const tried = async (id: string, at: number, cut: boolean): Promise<void> => {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] as number) ^ (1 << (at % 8));
      await writeFile(loadFiles.pathOf(folder, id), cut ? bytes.subarray(0, at) : changed);
      const found = await read(id);
      if (typeof found === 'string') {
        expect(found).toBe('MNOPS_CORE_STORAGE_UNREADABLE');
        refused += 1;
        return;
      }
      const odd = found.load.operations.filter((operation) => !written.has(JSON.stringify(operation)));
      expect([at, odd]).toEqual([at, []]);
      const isWhole = found.load.operations.length === 2 && found.load.untilMs === load.untilMs;
      if (found.damage.length > 0) damaged += 1;
      else expect([at, isWhole]).toEqual([at, true]);
    };
    for (let at = 0; at < bytes.length; at += 8) {
      const positions = Array.from({ length: Math.min(8, bytes.length - at) }, (_, index) => at + index);
      await Promise.all(
        positions.flatMap((position, index) => [
          tried(`a${index}`, position, true),
          tried(`b${index}`, position, false),
        ]),
      );
    }
    expect(refused).toBeGreaterThanOrEqual(64);
    expect(damaged).toBeGreaterThan(bytes.length - 576);
  });

  it('takes no record that another program made wrong', async () => {
    const operation = { service: 's', operation: 'o', kind: 'server', stepMs: 1_000, bucketMs: 500 };
    const record = (head: unknown, numbers: readonly number[] = []): Buffer => {
      const text = Buffer.from(typeof head === 'string' ? head : JSON.stringify(head));
      const length = Buffer.alloc(4);
      length.writeUInt32LE(text.length);
      return Buffer.concat([length, text, Buffer.from(Float32Array.from(numbers).buffer)]);
    };
    const runs = [{ firstStep: 1, steps: 1 }];
    const odd = [
      Buffer.from([1, 2]),
      record('{'),
      record({}),
      record({ operation: { ...operation, runs } }, [1, 1, 1]),
      record({ operation: { ...operation, runs } }, [1, 1, 1, 1, 1]),
      record({ operation: { ...operation, runs } }, [1, -1, 1, 1]),
      record({ operation: { ...operation, runs } }, [1, Number.NaN, 1, 1]),
      record({ operation: { ...operation, kind: 'metric', runs } }, [1, 1, 1, 1]),
      record({ operation: { ...operation, stepMs: 0, runs } }, [1, 1, 1, 1]),
      record({ operation: { ...operation, runs: [{ firstStep: 1e300, steps: 1 }] } }, [1, 1, 1, 1]),
      record({ operation: { ...operation, runs: [{ firstStep: 0.5, steps: 1 }] } }, [1, 1, 1, 1]),
    ];
    const log = await openRecordLog({ file: loadFiles.pathOf(folder, 'aa'), magic: 'MNAPMLOD', version: 1 });
    await log.append([...odd, record({ operation: { ...operation, runs } }, [1, 2, 0, 3]), record({ end: true })]);
    await log.close();
    const { load: found, damage } = await readLoad(folder, 'aa');
    expect(damage).toHaveLength(odd.length);
    expect(found.operations.map(({ runs: [first] }) => first?.calls)).toEqual([list(2)]);
  });
});
