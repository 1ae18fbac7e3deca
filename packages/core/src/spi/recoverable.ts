import type { Call, Spi } from './base.js';

/** One file or stream inside a snapshot. */
export interface SnapshotEntry {
  /** Relative path with `/` as separator; no empty, `.` or `..` segment. */
  readonly path: string;
  /** Bytes, where known before reading. */
  readonly size?: number | undefined;
  /** Unix permission bits. Default 0o600. */
  readonly mode?: number | undefined;
  /** Epoch milliseconds. */
  readonly modifiedMs?: number | undefined;
}

/** Where a component writes its snapshot. */
export interface SnapshotSink {
  /** Adds a folder of the local file system, links and modes included; the sink walks it. `at` is its place in the snapshot, default the root. */
  addTree(
    folder: string,
    options?: { readonly at?: string | undefined; readonly include?: ((path: string) => boolean) | undefined },
  ): Promise<void>;
  /** Adds one file from a stream of bytes. */
  addStream(entry: SnapshotEntry, body: AsyncIterable<Uint8Array>): Promise<void>;
}

/** What a snapshot holds, for a component that restores itself. */
export interface SnapshotReader {
  /** Files of the snapshot, sorted by path. */
  entries(): AsyncIterable<SnapshotEntry>;
  /** Bytes of one file; rejects with `MNOPS_CORE_NOT_FOUND` when the snapshot does not hold it. */
  read(path: string): AsyncIterable<Uint8Array>;
  /** Writes everything below `from` (default the root) into a folder, byte-exact and durable. */
  restoreTree(folder: string, options?: { readonly from?: string | undefined }): Promise<void>;
}

/** Where a component is restored to: a folder apart from the live data, or its own place. */
export type RestoreTarget = { readonly folder: string } | { readonly inPlace: true };

/** What a verification of restored data found wrong. */
export interface RecoveryFinding {
  /** File or record the finding is about. */
  readonly path: string;
  readonly severity: 'warning' | 'error';
  /** Sentence for a person; never holds data. */
  readonly message: string;
}

/** What a snapshot stands for. */
export interface SnapshotSummary {
  /** When the last change that the snapshot holds was made, epoch milliseconds; absent when unknown. */
  readonly lastChangeMs?: number | undefined;
  /** Position in the component's own terms, such as a sequence number. */
  readonly position?: string | undefined;
}

/** What a restore did. */
export interface RestoreSummary {
  readonly files: number;
  readonly bytes: number;
}

/** A component whose durable data can be saved, brought back and checked. */
export interface Recoverable extends Spi<'recoverable'> {
  readonly capabilities: {
    readonly pointInTime: 'none' | 'snapshot' | 'continuous';
    /** Whether a restore into a folder of its own is possible while the component runs. */
    readonly isolatedRestore: boolean;
    /** Whether it can be restored over its live data. */
    readonly inPlace: boolean;
  };
  /** Writes a consistent state; what was acknowledged before the call is in it. */
  snapshot(sink: SnapshotSink, call: Call): Promise<SnapshotSummary>;
  /** Brings a snapshot back, all of it or an error. */
  restore(from: SnapshotReader, to: RestoreTarget, call: Call): Promise<RestoreSummary>;
  /** Checks data at a place by the component's own rules; an empty list means that it is whole. */
  verify(at: RestoreTarget, call: Call): Promise<readonly RecoveryFinding[]>;
}
