import { createHash, type Hash } from 'node:crypto';
import type { BlobType } from './blob-index.js';
import type { Envelope } from './envelope.js';
import { encodePackHeader, type PackedBlob } from './pack-header.js';

/** A pack that is full: bytes to be stored under the hex of their SHA-256. */
export interface FinishedPack {
  readonly id: string;
  readonly bytes: Buffer;
  readonly blobs: readonly PackedBlob[];
}

/** Collects sealed blobs of one type until they make a pack. */
export class PackBuilder {
  readonly #envelope: Envelope;
  #buffer: Buffer;
  /** Fed as blobs come, so that a full pack does not hold up the event loop. */
  readonly #hash: Hash = createHash('sha256');
  #used = 0;
  #blobs: PackedBlob[] = [];

  /** @param buffer - Memory that the pack is laid out in; a larger one is taken when a blob needs it. */
  constructor(envelope: Envelope, buffer: Buffer) {
    this.#envelope = envelope;
    this.#buffer = buffer;
  }

  get sizeBytes(): number {
    return this.#used;
  }

  get blobCount(): number {
    return this.#blobs.length;
  }

  /** Seals and appends a blob. `plain` are the bytes to seal, compressed ones when `rawLength` is above 0. */
  add(type: BlobType, id: Buffer, plain: Uint8Array, rawLength: number): PackedBlob {
    const offset = this.#used;
    for (const part of this.#envelope.seal(plain)) this.#append(part);
    const blob = { type, id, offset, length: this.#used - offset, rawLength };
    this.#blobs.push(blob);
    return blob;
  }

  /** Puts the header behind the blobs and gives the pack away. */
  finish(): FinishedPack {
    const begin = this.#used;
    for (const part of this.#envelope.seal(encodePackHeader(this.#blobs))) this.#append(part);
    const length = Buffer.alloc(4);
    length.writeUInt32LE(this.#used - begin);
    this.#append(length);
    const bytes = this.#buffer.subarray(0, this.#used);
    return { id: this.#hash.digest('hex'), bytes, blobs: this.#blobs };
  }

  #append(part: Uint8Array): void {
    if (this.#used + part.length > this.#buffer.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(this.#buffer.length * 2, this.#used + part.length + 1_048_576));
      this.#buffer.copy(larger, 0, 0, this.#used);
      this.#buffer = larger;
    }
    this.#buffer.set(part, this.#used);
    this.#hash.update(part);
    this.#used += part.length;
  }
}
