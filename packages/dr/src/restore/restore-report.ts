import type { PathFinding } from '../backup/tally.js';

/** One file that was restored and whose bytes were compared. */
export interface RestoredFile {
  /** Source id and path; only the path for a point that another program wrote. */
  readonly path: string;
  readonly size: number;
  /** SHA-256 of the restored bytes, hex. */
  readonly sha256: string;
}

/** What restoring has done so far. */
export class RestoreReport {
  readonly files: RestoredFile[] = [];
  /** Paths that are not as they were. */
  readonly damaged: PathFinding[] = [];
  /** Paths whose content is right and some attribute is not. */
  readonly skippedAttributes: PathFinding[] = [];
  readonly #noted = new Set<string>();
  bytes = 0;
  /** Files that were read again from the disk and had the right hash. */
  verifiedFiles = 0;

  /** Notes a file once, however often its source reads it. */
  file(path: string, size: number, sha256: string): void {
    if (this.#noted.has(path)) return;
    this.#noted.add(path);
    this.files.push({ path, size, sha256 });
    this.bytes += size;
  }

  lose(path: string, message: string): void {
    this.damaged.push({ path, message });
  }

  skip(path: string, message: string): void {
    this.skippedAttributes.push({ path, message });
  }
}
