import type { StorageDamage } from '../spi/base.js';
import { systemFiles } from './file-calls.js';
import { openFileRecordLog } from './file-record-log.js';

/** Which file a log is, and what it holds. */
export interface RecordLogOptions {
  /** Path. The folder must exist; the file is made when it is absent, unless `readOnly`. */
  readonly file: string;
  /** Kind of the content: 8 ASCII characters. A file with others is refused. */
  readonly magic: string;
  /** Version of the content's format, 0 to 65,535. A file with another one is refused. */
  readonly version: number;
  /** Never write; the file must exist. Default false. */
  readonly readOnly?: boolean | undefined;
  /** Largest payload that is appended. Default 16 MiB. */
  readonly maxRecordBytes?: number | undefined;
  /** Permission bits of a new file. Default 0o600. */
  readonly mode?: number | undefined;
}

/** One record as it was appended. */
export interface LogRecord {
  /** Number of the record in its file, from 0, without gaps unless records were lost. */
  readonly sequence: number;
  /** Byte position where it begins. */
  readonly offset: number;
  /** Byte position after it: give it as `fromOffset` to go on later. */
  readonly nextOffset: number;
  readonly payload: Uint8Array;
}

/** Where an append begins. */
export interface AppendResult {
  readonly firstSequence: number;
  readonly offset: number;
}

/** How durable an append is when its promise resolves. */
export interface AppendOptions {
  /** True: it survives power loss. False: it survives the end of the process. Default true. */
  readonly sync?: boolean | undefined;
}

/** An append-only file of records, each with a check value. It has one writer at a time (see `acquireFileLock`) and any number of readers. */
export interface RecordLog {
  readonly file: string;
  /** Random name of this very file, 32 hexadecimal digits; `rewrite` gives a new one. */
  readonly id: string;
  /** What was found damaged when the file was opened or read; empty for a whole file. At most 1,000 entries, the last of which gathers the rest. */
  readonly damage: readonly StorageDamage[];
  readonly sizeBytes: number;
  /** Number that the next record gets. */
  readonly nextSequence: number;
  /**
   * Whole records from a position on, those included that another process appended since. Damaged ones are skipped and
   * added to `damage`. When the file was replaced by another process's `rewrite`, a reader begins anew with its first
   * record, and `id` is another.
   */
  records(options?: { readonly fromOffset?: number | undefined }): AsyncIterable<LogRecord>;
  /**
   * Appends payloads in order, all of them or none. Appends that wait at the same time share one write and one sync.
   *
   * @throws {MnopsError} `MNOPS_CORE_STORAGE_FAILED` when the disk is full or fails: nothing of this append stays, the
   * earlier records are whole, and a later append may succeed. `MNOPS_CORE_TOO_LARGE`, `MNOPS_CORE_CLOSED`.
   */
  append(payloads: Uint8Array | readonly Uint8Array[], options?: AppendOptions): Promise<AppendResult>;
  /** Appends before it returns, after everything that waits; for hooks of a process that ends. `sync` defaults to false. */
  appendSync(payload: Uint8Array, options?: AppendOptions): void;
  /** What was appended before survives power loss. */
  sync(): Promise<void>;
  /** Replaces the whole content in one step, numbered from 0 in a file with a new `id`; a crash leaves the old or the new. */
  rewrite(payloads: Iterable<Uint8Array>): Promise<void>;
  /** Ends after everything that waits is durable; a second call does nothing. */
  close(): Promise<void>;
}

/**
 * Opens an append-only file of records, or makes it.
 *
 * It opens through any damage as long as one copy of the file's header is whole: damaged records are skipped and listed
 * in `damage`. A writer repairs a damaged copy of the header and cuts off a record that was torn by a crash. The layout
 * is in `docs/formats/record-log.md`.
 *
 * @throws {MnopsError} `MNOPS_CORE_STORAGE_UNREADABLE` when both copies of the header are damaged or the file is of
 * another kind or version; `MNOPS_CORE_STORAGE_FAILED` when the file cannot be opened.
 */
export function openRecordLog(options: RecordLogOptions): Promise<RecordLog> {
  return openFileRecordLog(options, systemFiles);
}
