import { stat } from 'node:fs/promises';
import { endianness } from 'node:os';
import { openRecordLog } from '@mnops/core/files';
import type { StorageDamage } from '@mnops/core/spi';
import type { LoadedOperation, LoadRun, ProcessLoad } from '../analysis/forecast/load-history.js';
import { choiceAt, has, innerAt, invalid, listAt, numberAt, recordAt, textAt } from '../snapshot/fields.js';
import { spanKinds } from '../span-kinds.js';
import { badRecord, ProcessFiles } from './process-files.js';

const format = { magic: 'MNAPMLOD', version: 1 } as const;
/** The load of each process, by its id. */
export const loadFiles: ProcessFiles = new ProcessFiles({ ending: '.load', ...format });

const maxRuns = 100_000;
/** The last instant that a date can be. */
const lastMs = 8.64e15;

/** What was read of one file of load. */
export interface ReadLoad {
  readonly load: ProcessLoad;
  readonly damage: readonly StorageDamage[];
}

interface OperationRecord {
  readonly stepMs: number;
  readonly bucketMs: number;
  readonly operation: LoadedOperation;
  readonly runs: readonly LoadRun[];
}

/** Replaces the load of one process in one step. */
export async function writeLoad(folder: string, id: string, load: ProcessLoad): Promise<void> {
  await loadFiles.replace(folder, id, recordsOf(load, numbersOf(load)));
}

/**
 * What is whole of the load of one process, and what is lost.
 *
 * @throws {MnopsError} `MNOPS_CORE_STORAGE_UNREADABLE` when nothing can be read.
 */
export async function readLoad(folder: string, id: string): Promise<ReadLoad> {
  const file = loadFiles.pathOf(folder, id);
  const log = await openRecordLog({ file, ...format, readOnly: true });
  try {
    const damage: StorageDamage[] = [];
    const operations = new Map<string, OperationRecord>();
    let untilMs = 0;
    let ended = false;
    for await (const { payload, offset } of log.records()) {
      try {
        const { head, body } = unpack(payload);
        if (has(head, 'end')) ended = true;
        else if (has(head, 'source')) untilMs = numberAt(innerAt(head, 'source', 'record'), 'untilMs', 'source');
        else {
          const read = readOperation(head, body);
          const [first = read] = operations.values();
          if (read.stepMs !== first.stepMs || read.bucketMs !== first.bucketMs) throw invalid('stepMs', 'the same');
          const { service, name, kind } = read.operation;
          operations.set(JSON.stringify([service, name, kind]), read);
        }
      } catch (error) {
        damage.push(badRecord(file, offset, error));
      }
    }
    const { size } = await stat(file);
    if (size !== log.sizeBytes || !ended) damage.push(badRecord(file, log.sizeBytes, undefined));
    const all = [...operations.values()];
    const { stepMs = 1, bucketMs = 1 } = all[0] ?? {};
    return { load: { stepMs, bucketMs, untilMs, operations: all }, damage: [...log.damage, ...damage] };
  } finally {
    await log.close();
  }
}

/**
 * A copy of all numbers, one list after the other: the sums go on while they are written. Records are made of it one by one,
 * for all of them at once would hold up the process for a tenth of a second.
 */
function numbersOf({ operations }: ProcessLoad): Buffer {
  const lists = operations.flatMap(({ runs }) => runs.flatMap(listsOf));
  const numbers = new Float32Array(lists.reduce((length, list) => length + list.length, 0));
  let place = 0;
  for (const list of lists) {
    numbers.set(list, place);
    place += list.length;
  }
  const bytes = Buffer.from(numbers.buffer);
  return endianness() === 'LE' ? bytes : bytes.swap32();
}

function listsOf({ covered, calls, errors, durationMs }: LoadRun): readonly Float32Array[] {
  return [covered, calls, errors, durationMs];
}

function* recordsOf({ stepMs, bucketMs, untilMs, operations }: ProcessLoad, numbers: Buffer): Iterable<Buffer> {
  yield pack({ source: { untilMs } });
  let place = 0;
  for (const { operation, runs } of operations) {
    const { service, name, kind } = operation;
    const lists = runs.map(({ firstStep, covered }) => ({ firstStep, steps: covered.length }));
    const head = { operation: { service, operation: name, kind, stepMs, bucketMs, runs: lists } };
    const end = lists.reduce((from, { steps }) => from + 4 * steps * Float32Array.BYTES_PER_ELEMENT, place);
    yield pack(head, numbers.subarray(place, end));
    place = end;
  }
  // Without it, a file that was cut between two records would look whole.
  yield pack({ end: true });
}

function pack(head: unknown, body: Buffer = Buffer.alloc(0)): Buffer {
  const text = Buffer.from(JSON.stringify(head));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(text.length);
  return Buffer.concat([length, text, body]);
}

function unpack(payload: Uint8Array): {
  readonly head: Readonly<Record<string, unknown>>;
  readonly body: Float32Array;
} {
  const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.length);
  const begin = bytes.length < 4 ? Number.POSITIVE_INFINITY : 4 + bytes.readUInt32LE(0);
  if (begin > bytes.length || (bytes.length - begin) % 4 !== 0) throw invalid('record', 'a head and numbers');
  const head = recordAt(JSON.parse(bytes.toString('utf8', 4, begin)), 'record');
  const body = Uint8Array.from(bytes.subarray(begin));
  if (endianness() !== 'LE') Buffer.from(body.buffer).swap32();
  return { head, body: new Float32Array(body.buffer) };
}

function readOperation(head: Readonly<Record<string, unknown>>, body: Float32Array): OperationRecord {
  const at = 'operation';
  const from = innerAt(head, at, 'record');
  const [stepMs, bucketMs] = [numberAt(from, 'stepMs', at, 1), numberAt(from, 'bucketMs', at, 1)];
  if (!body.every((value) => Number.isFinite(value) && value >= 0)) throw invalid(at, 'numbers from 0 on');
  let place = 0;
  const runs = listAt(from, 'runs', at, maxRuns).map((entry, index): LoadRun => {
    const field = `${at}.runs[${index}]`;
    const fields = recordAt(entry, field);
    const [firstStep, steps] = [numberAt(fields, 'firstStep', field), numberAt(fields, 'steps', field, 1)];
    const whole = Number.isInteger(firstStep) && Number.isInteger(steps) && (firstStep + steps) * stepMs <= lastMs;
    if (!whole || place + 4 * steps > body.length) throw invalid(field, 'steps whose numbers are there');
    const list = (number: number): Float32Array => body.subarray(begin + number * steps, begin + (number + 1) * steps);
    const begin = place;
    place += 4 * steps;
    return { firstStep, covered: list(0), calls: list(1), errors: list(2), durationMs: list(3) };
  });
  if (place !== body.length) throw invalid(at, 'as many numbers as steps');
  const operation = { service: textAt(from, 'service', at), name: textAt(from, 'operation', at) };
  return { stepMs, bucketMs, runs, operation: { ...operation, kind: choiceAt(from, 'kind', at, spanKinds) } };
}
