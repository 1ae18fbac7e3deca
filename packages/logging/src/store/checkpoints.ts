import { openRecordLog, type RecordLog } from '@mnops/core/files';
import type { Checkpoint } from './payload.js';

const magic = 'MNLOGCKP';
const version = 1;
/** Records after which the log is written anew with the last checkpoint of each source only. */
const compactAfter = 1000;

/** Checkpoints of entries that are sealed. Those of open logs stand in these logs themselves. */
export interface CheckpointLog {
  readonly current: ReadonlyMap<string, Checkpoint>;
  /** Adds checkpoints; they are durable when the promise resolves. */
  save(checkpoints: Iterable<Checkpoint>): Promise<void>;
  close(): Promise<void>;
}

/** Opens the log of checkpoints, or makes it. */
export async function openCheckpointLog(file: string): Promise<CheckpointLog> {
  const log = await openRecordLog({ file, magic, version });
  const current = await readAll(log).catch(async (error: unknown) => {
    await log.close();
    throw error;
  });
  return {
    current,
    async save(checkpoints) {
      const list = [...checkpoints];
      if (list.length === 0) return;
      for (const checkpoint of list) current.set(checkpoint.source, checkpoint);
      if (log.nextSequence > compactAfter) await log.rewrite([...current.values()].map(encode));
      else await log.append(list.map(encode));
    },
    close: () => log.close(),
  };
}

/** The checkpoints in a log that another process may be writing. */
export async function readCheckpointLog(file: string): Promise<ReadonlyMap<string, Checkpoint>> {
  const log = await openRecordLog({ file, magic, version, readOnly: true });
  try {
    return await readAll(log);
  } finally {
    await log.close();
  }
}

async function readAll(log: RecordLog): Promise<Map<string, Checkpoint>> {
  const found = new Map<string, Checkpoint>();
  for await (const { payload } of log.records()) {
    const checkpoint = JSON.parse(Buffer.from(payload).toString()) as Checkpoint;
    found.set(checkpoint.source, checkpoint);
  }
  return found;
}

function encode(checkpoint: Checkpoint): Uint8Array {
  return Buffer.from(JSON.stringify(checkpoint));
}
