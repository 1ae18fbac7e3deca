import { codeOf } from '@mnops/core';

/** One file of a recovery point. */
export interface BackedUpFile {
  /** Source id and path, with `/` between. A byte that is not UTF-8 is the lone surrogate U+DC80 to U+DCFF. */
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  /** SHA-256 of the bytes that were read, hex. */
  readonly sha256: string;
  /** False when the file was known unchanged, so that the hash is of an earlier reading. */
  readonly read: boolean;
}

/** A path that could not be read, restored or verified. */
export interface PathFinding {
  readonly path: string;
  /** Sentence for a person; never holds data. */
  readonly message: string;
}

/** How far a backup has come. */
export interface BackupProgress {
  readonly source: string;
  readonly files: number;
  /** Bytes of the files seen so far, unchanged ones included. */
  readonly bytes: number;
  readonly readBytes: number;
}

/** Counts and lists what a backup saw. */
export class BackupTally {
  readonly files: BackedUpFile[] = [];
  readonly findings: PathFinding[] = [];
  readonly leftOut: string[] = [];
  bytes = 0;
  readBytes = 0;

  file(path: string, size: number, sha256: string, read: boolean): void {
    this.files.push({ path, size, sha256, read });
    this.bytes += size;
    if (read) this.readBytes += size;
  }

  unreadable(path: string, error: unknown): void {
    this.findings.push({ path, message: `Cannot be read: ${codeOf(error) ?? 'unknown reason'}.` });
  }
}
