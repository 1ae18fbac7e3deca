import { createHash, type Hash } from 'node:crypto';
import { readSync } from 'node:fs';
import type { Pacer } from '../pacer.js';
import type { Chunker } from '../repository/gear-chunker.js';
import type { BlobSaver } from './blob-saver.js';

/** Content as it was stored. */
export interface SavedContent {
  /** Ids of its blobs. */
  readonly content: readonly string[];
  readonly size: number;
  /** SHA-256 of all its bytes, hex. */
  readonly sha256: string;
}

const bufferBytes = 12_582_912;
const readBytes = 1_048_576;

/** SHA-256 of nothing. */
export const emptySha256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

/** Cuts content into blobs and stores them, one file or stream at a time. */
export class ContentSaver {
  readonly #saver: BlobSaver;
  readonly #chunker: Chunker;
  readonly #pacer: Pacer;
  readonly #buffer: Buffer = Buffer.allocUnsafeSlow(bufferBytes);
  /** Where the running chunk begins, up to where it was looked at, and up to where bytes are. */
  #begin = 0;
  #scanned = 0;
  #filled = 0;
  #content: string[] = [];
  #size = 0;
  #hash: Hash | undefined;

  constructor(saver: BlobSaver, chunker: Chunker, pacer: Pacer) {
    this.#saver = saver;
    this.#chunker = chunker;
    this.#pacer = pacer;
  }

  /** Stores what an open file holds, or the part behind it that a caller has not read. */
  async saveFile(descriptor: number): Promise<SavedContent> {
    this.#begin = this.#scanned = this.#filled = 0;
    const least = this.#chunker.sizes.minBytes;
    // Most files end before the least cut: one blob, no look at the content.
    let count = 0;
    do {
      count = readSync(descriptor, this.#buffer, this.#filled, least + 1 - this.#filled, null);
      this.#filled += count;
    } while (count > 0 && this.#filled <= least);
    if (this.#filled <= least) return this.#saveSmall();
    this.#start();
    do {
      await this.#cut();
      this.#makeRoom(readBytes);
      count = readSync(descriptor, this.#buffer, this.#filled, readBytes, null);
      this.#filled += count;
    } while (count > 0);
    return this.#finish();
  }

  /** Stores a stream to its end. */
  async saveStream(body: AsyncIterable<Uint8Array>): Promise<SavedContent> {
    this.#begin = this.#scanned = this.#filled = 0;
    this.#start();
    for await (const bytes of body) {
      for (let start = 0; start < bytes.length; start += readBytes) {
        const part = bytes.subarray(start, start + readBytes);
        this.#makeRoom(part.length);
        this.#buffer.set(part, this.#filled);
        this.#filled += part.length;
        await this.#cut();
      }
    }
    return this.#finish();
  }

  #saveSmall(): SavedContent {
    if (this.#filled === 0) return { content: [], size: 0, sha256: emptySha256 };
    const id = this.#saver.save('data', this.#buffer.subarray(0, this.#filled)).toString('hex');
    return { content: [id], size: this.#filled, sha256: id };
  }

  #start(): void {
    this.#chunker.reset();
    this.#content = [];
    this.#size = 0;
    this.#hash = undefined;
  }

  async #cut(): Promise<void> {
    while (this.#scanned < this.#filled) {
      const taken = this.#chunker.take(this.#buffer.subarray(this.#scanned, this.#filled));
      if (taken === -1) {
        this.#scanned = this.#filled;
        return;
      }
      this.#scanned += taken;
      this.#emit();
      if (this.#pacer.due()) await this.#pacer.pause();
      await this.#saver.settle();
    }
  }

  #emit(): void {
    const chunk = this.#buffer.subarray(this.#begin, this.#scanned);
    this.#begin = this.#scanned;
    this.#content.push(this.#saver.save('data', chunk).toString('hex'));
    this.#size += chunk.length;
    // While there is one chunk its id is the hash of the whole.
    this.#hash ??= createHash('sha256');
    this.#hash.update(chunk);
  }

  #finish(): SavedContent {
    const only = this.#content.length === 0;
    if (only) {
      this.#scanned = this.#filled;
      const chunk = this.#buffer.subarray(this.#begin, this.#filled);
      if (chunk.length === 0) return { content: [], size: 0, sha256: emptySha256 };
      const id = this.#saver.save('data', chunk).toString('hex');
      return { content: [id], size: chunk.length, sha256: id };
    }
    this.#scanned = this.#filled;
    if (this.#begin < this.#filled) this.#emit();
    return { content: this.#content, size: this.#size, sha256: this.#hash?.digest('hex') ?? emptySha256 };
  }

  #makeRoom(bytes: number): void {
    if (this.#filled + bytes <= this.#buffer.length) return;
    this.#buffer.copyWithin(0, this.#begin, this.#filled);
    this.#scanned -= this.#begin;
    this.#filled -= this.#begin;
    this.#begin = 0;
  }
}
