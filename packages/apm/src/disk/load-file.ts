import { readdir, rename, rm, stat } from 'node:fs/promises';
import { endianness } from 'node:os';
import { join } from 'node:path';
import { codeOf, MnopsError, storageError } from '@mnops/core';
import { ensureFolder, openRecordLog } from '@mnops/core/files';
import type { SpanKindName, StorageDamage } from '@mnops/core/spi';
import type { LoadedOperation, LoadRun, ProcessLoad } from '../analysis/forecast/load-history.js';
import { choiceAt, has, innerAt, invalid, listAt, numberAt, recordAt, textAt } from '../snapshot/fields.js';

const format = { magic: 'MNAPMLOD', version: 1 } as const;
const maxRecordBytes = 67_108_864;
const fileName = /^([0-9a-z-]{1,64})\.load$/;
const unfinishedForm = /^([0-9a-z-]{1,64})\.load\.new(?:\.rewrite)?$/;
const kinds: readonly SpanKindName[] = ['internal', 'server', 'client', 'producer', 'consumer'];
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

/** Path of the load of one process. */
export function loadFile(folder: string, id: string): string {
  return join(folder, `${id}.load`);
}

/** Ids of the processes whose load is in a folder, and of those that ended while they wrote it. */
export async function listLoads(folder: string): Promise<{ readonly whole: string[]; readonly unfinished: string[] }> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return [];
    throw storageError('read', folder, error);
  });
  // Only plain files: a pipe would be waited for.
  const names = entries.filter((entry) => entry.isFile()).map(({ name }) => name);
  const idsOf = (form: RegExp): string[] => names.flatMap((name) => form.exec(name)?.[1] ?? []).sort();
  return { whole: idsOf(fileName), unfinished: idsOf(unfinishedForm) };
}

/** Replaces the load of one process in one step: a crash leaves the old one or the new one, or none before the first. */
export async function writeLoad(folder: string, id: string, load: ProcessLoad): Promise<void> {
  // Now, not while it is written: the sums go on.
  const records = [...recordsOf(load)];
  await ensureFolder(folder);
  await removeUnfinishedLoad(folder, id);
  const unfinished = `${loadFile(folder, id)}.new`;
  const log = await openRecordLog({ file: unfinished, ...format, maxRecordBytes });
  try {
    await log.rewrite(records);
  } finally {
    await log.close();
  }
  const file = loadFile(folder, id);
  await rename(unfinished, file).catch((error: unknown) => {
    throw storageError('replace', file, error);
  });
}

/** Removes what a process left that ended while it wrote its load. */
export async function removeUnfinishedLoad(folder: string, id: string): Promise<void> {
  await rm(`${loadFile(folder, id)}.new`, { force: true });
  await rm(`${loadFile(folder, id)}.new.rewrite`, { force: true });
}

/**
 * What is whole of the load of one process, and what is lost.
 *
 * @throws {MnopsError} `MNOPS_CORE_STORAGE_UNREADABLE` when nothing can be read.
 */
export async function readLoad(folder: string, id: string): Promise<ReadLoad> {
  const file = loadFile(folder, id);
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

/** A file or a record of load that cannot be read. */
export function badRecord(file: string, offset: number, error: unknown): StorageDamage {
  const code = MnopsError.is(error) ? error.code : 'MNOPS_CORE_STORAGE_UNREADABLE';
  return { code, file, offset, records: 1, remedy: 'None: what is lost is learned anew.' };
}

function* recordsOf({ stepMs, bucketMs, untilMs, operations }: ProcessLoad): Iterable<Buffer> {
  yield pack({ source: { untilMs } });
  for (const { operation, runs } of operations) {
    const { service, name, kind } = operation;
    const lists = runs.map(({ firstStep, covered }) => ({ firstStep, steps: covered.length }));
    const head = { operation: { service, operation: name, kind, stepMs, bucketMs, runs: lists } };
    yield pack(
      head,
      runs.flatMap(({ covered, calls, errors, durationMs }) => [covered, calls, errors, durationMs]),
    );
  }
  // Without it, a file that was cut between two records would look whole.
  yield pack({ end: true });
}

function pack(head: unknown, lists: readonly Float32Array[] = []): Buffer {
  const text = Buffer.from(JSON.stringify(head));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(text.length);
  const bytes = lists.map((list) => {
    const copy = Buffer.from(new Uint8Array(list.buffer, list.byteOffset, list.byteLength));
    return endianness() === 'LE' ? copy : copy.swap32();
  });
  return Buffer.concat([length, text, ...bytes]);
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
  return { stepMs, bucketMs, runs, operation: { ...operation, kind: choiceAt(from, 'kind', at, kinds) } };
}
