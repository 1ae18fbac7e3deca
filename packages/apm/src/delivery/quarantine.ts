import { randomBytes } from 'node:crypto';
import { readdir, rename, stat, unlink } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { ensureFolder } from '@mnops/core/files';
import { refusedName } from './spool-adoption.js';
import { encodeSpansEntry } from './spool-record.js';
import { SpoolSegment } from './spool-segment.js';

/** What can be neither read nor delivered, kept for a person to look at; the oldest files go when there is too much. */
export class Quarantine {
  readonly #folder: string;
  readonly #maxBytes: number;
  readonly #now: () => number;
  #segment: SpoolSegment | undefined;
  #settledBytes = 0;

  constructor(folder: string, maxBytes: number, now: () => number) {
    this.#folder = folder;
    this.#maxBytes = maxBytes;
    this.#now = now;
  }

  get bytes(): number {
    return this.#settledBytes + (this.#segment?.bytes ?? 0);
  }

  /** Finds out how much an earlier process left here. Never rejects. */
  async look(): Promise<void> {
    await this.#shorten().catch(() => undefined);
  }

  /**
   * Keeps spans that a back end refused.
   *
   * @returns The file; `undefined` when the disk did not take them. The spans are counted as given up anyway.
   */
  async keep(spans: Uint8Array, count: number): Promise<string | undefined> {
    try {
      const isFull = this.#segment !== undefined && this.#segment.bytes > this.#maxBytes / 4;
      if (this.#segment === undefined || isFull || !(await this.#segment.isThere())) await this.#begin();
      const nowMs = this.#now();
      await this.#segment?.append(encodeSpansEntry(spans, count, nowMs), count, nowMs, false);
      await this.#shorten();
      return this.#segment?.file;
    } catch {
      await this.close();
      return undefined;
    }
  }

  /** Moves a file here. */
  async move(file: string): Promise<void> {
    try {
      await ensureFolder(this.#folder);
      await rename(file, join(this.#folder, basename(file)));
      await this.#shorten();
    } catch {
      // It stays where it is, and was told of.
    }
  }

  async close(): Promise<void> {
    const segment = this.#segment;
    this.#segment = undefined;
    this.#settledBytes += segment?.bytes ?? 0;
    await segment?.rest().catch(() => undefined);
  }

  async #begin(): Promise<void> {
    await this.close();
    await ensureFolder(this.#folder);
    const name = refusedName(randomBytes(6).toString('hex'));
    this.#segment = await SpoolSegment.create(join(this.#folder, name));
  }

  async #shorten(): Promise<void> {
    const files = await Promise.all(
      (await readdir(this.#folder)).map(async (name) => {
        const file = join(this.#folder, name);
        const { size = 0, mtimeMs = 0 } = (await stat(file).catch(() => undefined)) ?? {};
        return { file, size, mtimeMs };
      }),
    );
    files.sort((left, right) => left.mtimeMs - right.mtimeMs);
    const current = this.#segment;
    let total = files.reduce((sum, { size }) => sum + size, 0);
    for (const { file, size } of files) {
      if (total <= this.#maxBytes) break;
      if (file === current?.file) continue;
      await unlink(file).catch(() => undefined);
      total -= size;
    }
    this.#settledBytes = total - (current?.bytes ?? 0);
  }
}
