import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { codeOf, coreError, MnopsError } from '@mnops/core';
import { acquireFileLock, ensureFolder, openRecordLog, type RecordLog } from '@mnops/core/files';
import type { RotationStrategy, StorageDamage } from '@mnops/core/spi';

/** Steps of a rotation in their order; each name says what is done by then. */
export type RotationStep =
  | 'intent-recorded'
  | 'pending-stored'
  | 'applied'
  | 'verified'
  | 'promoted'
  | 'grace-recorded'
  | 'revoked'
  | 'closed';

/** How a rotation ended. */
export type RotationOutcome = 'completed' | 'failed' | 'aborted' | 'superseded';

/** One line of a journal. It never holds a value. */
export interface JournalRecord {
  readonly kind: RotationStep | 'discarding';
  /** One rotation. */
  readonly token: string;
  /** Fencing token of the lease that it was written under. */
  readonly fence: string;
  readonly atMs: number;
  readonly path?: string | undefined;
  readonly oldVersion?: string | undefined;
  readonly strategy?: RotationStrategy | undefined;
  readonly version?: string | undefined;
  readonly graceMs?: number | undefined;
  readonly propagationMs?: number | undefined;
  readonly revokeAtMs?: number | undefined;
  readonly outcome?: RotationOutcome | undefined;
  /** Step that failed. */
  readonly failedStep?: string | undefined;
  readonly code?: string | undefined;
}

/** What a journal says about the last rotation of its path. */
export interface JournalState {
  readonly token: string;
  readonly step: RotationStep | 'discarding';
  readonly oldVersion: string;
  /** Absent in a journal that was written before there was a choice. */
  readonly strategy?: RotationStrategy | undefined;
  readonly version?: string | undefined;
  readonly startedAtMs: number;
  readonly atMs: number;
  readonly graceMs: number;
  readonly propagationMs: number;
  readonly revokeAtMs?: number | undefined;
  readonly outcome?: RotationOutcome | undefined;
  readonly failedStep?: string | undefined;
  readonly code?: string | undefined;
  /** When a rotation of this path was last promoted. */
  readonly rotatedAtMs?: number | undefined;
}

/** The journal of one path, open for writing by this process alone. */
export interface Journal {
  readonly state: JournalState | undefined;
  append(record: JournalRecord): Promise<void>;
  close(): Promise<void>;
}

/** Where journals are kept. */
export interface JournalStore {
  /** @throws {MnopsError} `MNOPS_CORE_LOCKED` while another process has it. */
  open(path: string): Promise<Journal>;
  read(path: string): Promise<JournalState | undefined>;
}

const magic = 'MNROTATE';
const version = 1;
/** Beyond this size a journal is reduced to its last rotation. */
const compactAboveBytes = 256 * 1024;

/** The state after one more record. */
export function foldRecord(state: JournalState | undefined, record: JournalRecord): JournalState | undefined {
  const { kind, token, atMs } = record;
  if (kind === 'intent-recorded') {
    return {
      token,
      step: kind,
      oldVersion: record.oldVersion ?? '',
      strategy: record.strategy,
      startedAtMs: atMs,
      atMs,
      graceMs: record.graceMs ?? 0,
      propagationMs: record.propagationMs ?? 0,
      rotatedAtMs: state?.rotatedAtMs,
    };
  }
  // The beginning of this rotation was lost to damage: without it nothing can be said about it.
  if (state === undefined || state.token !== token) return state;
  return {
    ...state,
    step: kind,
    atMs,
    version: record.version ?? state.version,
    revokeAtMs: record.revokeAtMs ?? state.revokeAtMs,
    outcome: record.outcome ?? state.outcome,
    failedStep: record.failedStep ?? state.failedStep,
    code: record.code ?? state.code,
    rotatedAtMs: kind === 'promoted' ? atMs : state.rotatedAtMs,
  };
}

/** Name of a path in file and lease names: paths may hold what file systems do not take. */
export function pathDigest(path: string): string {
  return createHash('sha256').update(path).digest('hex').slice(0, 32);
}

/** Journals as files, one per path; the layout is in `docs/formats/rotation-journal.md`. */
export function fileJournals(folder: string, onDamage: (damage: StorageDamage) => void): JournalStore {
  const fileOf = (path: string): string => join(folder, `${pathDigest(path)}.journal`);

  async function stateOf(
    log: RecordLog,
    path: string,
  ): Promise<{ state: JournalState | undefined; kept: Uint8Array[] }> {
    let state: JournalState | undefined;
    let kept: Uint8Array[] = [];
    for await (const { payload } of log.records()) {
      const record = parseRecord(payload);
      if (record === undefined) continue;
      if (record.kind === 'intent-recorded') {
        if (record.path !== path) continue;
        kept = kept.slice(-1);
      }
      kept.push(payload);
      state = foldRecord(state, record);
    }
    for (const each of log.damage) onDamage(each);
    return { state, kept };
  }

  return {
    async open(path) {
      await ensureFolder(folder);
      const file = fileOf(path);
      const lock = await acquireFileLock(`${file}.lock`, { purpose: `rotate a secret` });
      let log: RecordLog | undefined;
      try {
        const opened = await openRecordLog({ file, magic, version });
        log = opened;
        let { state, kept } = await stateOf(opened, path);
        if (opened.sizeBytes > compactAboveBytes) await opened.rewrite(kept);
        return {
          get state() {
            return state;
          },
          async append(record) {
            await opened.append(Buffer.from(JSON.stringify(record)));
            state = foldRecord(state, record);
          },
          async close() {
            try {
              await opened.close();
            } finally {
              await lock.release();
            }
          },
        };
      } catch (error) {
        await log?.close();
        await lock.release();
        throw error;
      }
    },
    async read(path) {
      let log: RecordLog;
      try {
        log = await openRecordLog({ file: fileOf(path), magic, version, readOnly: true });
      } catch (error) {
        if (MnopsError.is(error, 'MNOPS_CORE_STORAGE_FAILED') && error.details?.['reason'] === 'ENOENT')
          return undefined;
        throw error;
      }
      try {
        return (await stateOf(log, path)).state;
      } finally {
        await log.close();
      }
    },
  };
}

/** Journals in memory, for a provider that does not outlive the process either. */
export function memoryJournals(): JournalStore {
  const states = new Map<string, JournalState | undefined>();
  const open = new Set<string>();
  return {
    async open(path) {
      if (open.has(path))
        throw coreError('MNOPS_CORE_LOCKED', `The path ${path} is being rotated.`, { details: { path } });
      open.add(path);
      return {
        get state() {
          return states.get(path);
        },
        append: async (record) => void states.set(path, foldRecord(states.get(path), record)),
        close: async () => void open.delete(path),
      };
    },
    read: async (path) => states.get(path),
  };
}

function parseRecord(payload: Uint8Array): JournalRecord | undefined {
  try {
    const record = JSON.parse(Buffer.from(payload).toString('utf8')) as JournalRecord;
    return typeof record.kind === 'string' && typeof record.token === 'string' ? record : undefined;
  } catch (error) {
    if (codeOf(error) !== undefined) throw error;
    return undefined;
  }
}
