import { openRecordLog, type RecordLog } from '@mnops/core/files';
import type { StorageDamage } from '@mnops/core/spi';
import { type Checkpoint, decodePayload, encodePayload, type Payload } from './payload.js';

/** Kind of an open log's content. */
export const openMagic = 'MNLOGOPN';
/** The version this code writes and reads. */
export const openVersion = 1;
/** Largest write: a batch and its checkpoint are one record, however long. */
const maxRecordBytes = 256 * 1024 * 1024;

/** Writes that are not sealed yet: the log on disk and its content in memory. */
export interface OpenSegment {
  readonly number: number;
  readonly log: RecordLog;
  readonly payloads: Payload[];
  /** Bytes of lines. */
  rawBytes: number;
  /** Number after the last entry. */
  nextSequence: number;
  readonly checkpoints: Map<string, Checkpoint>;
  /** Damage that the log was opened with. */
  readonly damage: readonly StorageDamage[];
}

/** Opens an open log and reads it. With `readOnly` the file stays as it is. */
export async function openSegment(file: string, number: number, readOnly: boolean): Promise<OpenSegment> {
  const log = await openRecordLog({ file, magic: openMagic, version: openVersion, maxRecordBytes, readOnly });
  const segment: OpenSegment = {
    number,
    log,
    payloads: [],
    rawBytes: 0,
    nextSequence: 0,
    checkpoints: new Map(),
    damage: [...log.damage],
  };
  try {
    await readFurther(segment, undefined);
  } catch (error) {
    await log.close();
    throw error;
  }
  return segment;
}

/** Takes in what was appended since; returns the offset to go on from. */
export async function readFurther(segment: OpenSegment, fromOffset: number | undefined): Promise<number | undefined> {
  let next = fromOffset;
  for await (const record of segment.log.records({ fromOffset })) {
    next = record.nextOffset;
    const payload = decodePayload(record.payload);
    if (payload !== undefined) addPayload(segment, payload);
  }
  return next;
}

/** Appends a write to the log and to memory before it returns; the operating system has it afterwards. */
export function appendPayload(segment: OpenSegment, payload: Payload): void {
  segment.log.appendSync(encodePayload(payload), { sync: false });
  addPayload(segment, payload);
}

function addPayload(segment: OpenSegment, payload: Payload): void {
  segment.payloads.push(payload);
  segment.rawBytes += payload.lines.length;
  segment.nextSequence = Math.max(segment.nextSequence, payload.firstSequence + payload.count);
  if (payload.checkpoint !== undefined) segment.checkpoints.set(payload.checkpoint.source, payload.checkpoint);
}
