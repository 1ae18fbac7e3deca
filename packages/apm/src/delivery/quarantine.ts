import { randomBytes } from 'node:crypto';
import { readdir, rename, stat, unlink } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { ensureFolder } from '@mnops/core/files';
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

  /** Keeps spans that a back end refused. Failures are not told: the spans are counted as rejected anyway. */
  async keep(spans: Uint8Array, count: number): Promise<void> {
    try {
      if (this.#segment === undefined || this.#segment.bytes > this.#maxBytes / 4) await this.#begin();
      const nowMs = this.#now();
      await this.#segment?.append(encodeSpansEntry(spans, count, nowMs), count, nowMs, false);
      await this.#shorten();
    } catch {
      await this.close();
    }
  }

  /** Moves a file here. */
  async move(file: string): Promise<void> {
    try {
      await ensureFolder(this.#folder);
      await rename(file, join(this.#folder, basename(file)));
      await this.#shorten();
    } catch {
      // It is found again at the next start.
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
    const name = `refused-${randomBytes(6).toString('hex')}.spool`;
    this.#segment = await SpoolSegment.create(join(this.#folder, name), this.#now());
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
