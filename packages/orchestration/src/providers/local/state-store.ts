import { join } from 'node:path';
import { MnopsError, storageError } from '@mnops/core';
import { acquireFileLock, ensureFolder, type FileLock, openRecordLog, type RecordLog } from '@mnops/core/files';
import type { JsonValue, StorageDamage } from '@mnops/core/spi';

/** Keyed state that outlives the process where there is a folder. */
export interface StateStore {
  readonly damage: readonly StorageDamage[];
  get(key: string): JsonValue | undefined;
  /** Keys that begin with a text, with their values. */
  list(prefix: string): readonly (readonly [key: string, value: JsonValue])[];
  /** Replaces a value; `undefined` removes it. `durable`: it survives power loss, not only the end of the process. */
  set(key: string, value: JsonValue | undefined, durable: boolean): Promise<void>;
  close(): Promise<void>;
}

interface JournalEntry {
  readonly key: string;
  readonly value?: JsonValue;
}

const rewriteOverBytes = 1024 * 1024;

/** State that ends with the process. */
export function memoryState(): StateStore {
  const values = new Map<string, JsonValue>();
  return { damage: [], ...reads(values), set: async (key, value) => change(values, key, value), close: async () => {} };
}

/**
 * State in `<folder>/rollout.journal`: one record per change, the last of each key counts. Layout:
 * `docs/formats/rollout-journal.md`.
 *
 * @param onWrite - Told of each write: `undefined` when it succeeded.
 * @throws {MnopsError} `MNOPS_CORE_LOCKED` while another process has the folder; `MNOPS_CORE_STORAGE_FAILED`,
 * `MNOPS_CORE_STORAGE_UNREADABLE`.
 */
export async function journalState(folder: string, onWrite: (failure: unknown) => void): Promise<StateStore> {
  await ensureFolder(folder);
  const lock = await acquireFileLock(join(folder, 'supervisor.lock'), { purpose: 'orchestration supervisor' });
  let log: RecordLog;
  const values = new Map<string, JsonValue>();
  try {
    log = await openRecordLog({ file: join(folder, 'rollout.journal'), magic: 'MNOPSORC', version: 1 });
    for await (const { payload } of log.records()) {
      const entry = parseEntry(payload);
      if (entry !== undefined) change(values, entry.key, entry.value);
    }
  } catch (error) {
    await lock.release();
    throw MnopsError.is(error) ? error : storageError('read', folder, error);
  }
  return new Journal(log, lock, values, onWrite).store();
}

class Journal {
  readonly #log: RecordLog;
  readonly #lock: FileLock;
  readonly #values: Map<string, JsonValue>;
  readonly #onWrite: (failure: unknown) => void;
  #writing: Promise<void> = Promise.resolve();
  #rewriteAt: number;

  constructor(log: RecordLog, lock: FileLock, values: Map<string, JsonValue>, onWrite: (failure: unknown) => void) {
    this.#log = log;
    this.#lock = lock;
    this.#values = values;
    this.#onWrite = onWrite;
    this.#rewriteAt = Math.max(rewriteOverBytes, 2 * log.sizeBytes);
  }

  store(): StateStore {
    const log = this.#log;
    return {
      get damage() {
        return log.damage;
      },
      ...reads(this.#values),
      set: (key, value, durable) => this.#set(key, value, durable),
      close: async () => {
        await this.#writing;
        await this.#log.close();
        await this.#lock.release();
      },
    };
  }

  async #set(key: string, value: JsonValue | undefined, durable: boolean): Promise<void> {
    // In memory first: what runs now must be known even while the disk is full.
    change(this.#values, key, value);
    const entry = Buffer.from(JSON.stringify(value === undefined ? { key } : { key, value }));
    const written = this.#writing.then(async () => {
      try {
        await this.#log.append(entry, { sync: durable });
        if (this.#log.sizeBytes > this.#rewriteAt) await this.#rewrite();
        this.#onWrite(undefined);
      } catch (error) {
        this.#onWrite(error);
        throw error;
      }
    });
    this.#writing = written.catch(() => undefined);
    await written;
  }

  async #rewrite(): Promise<void> {
    await this.#log.rewrite([...this.#values].map(([key, value]) => Buffer.from(JSON.stringify({ key, value }))));
    this.#rewriteAt = Math.max(rewriteOverBytes, 2 * this.#log.sizeBytes);
  }
}

function reads(values: ReadonlyMap<string, JsonValue>): Pick<StateStore, 'get' | 'list'> {
  return {
    get: (key) => values.get(key),
    list: (prefix) => [...values].filter(([key]) => key.startsWith(prefix)),
  };
}

function change(values: Map<string, JsonValue>, key: string, value: JsonValue | undefined): void {
  if (value === undefined) values.delete(key);
  else values.set(key, value);
}

function parseEntry(payload: Uint8Array): JournalEntry | undefined {
  try {
    const entry = JSON.parse(Buffer.from(payload).toString('utf8')) as JournalEntry;
    return typeof entry?.key === 'string' ? entry : undefined;
  } catch {
    // The record's check value was right, so a newer version wrote it; the rest is still of use.
    return undefined;
  }
}
