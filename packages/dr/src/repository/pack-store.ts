import type { BlobType } from './blob-index.js';
import { compress } from './compression.js';
import type { Envelope } from './envelope.js';
import type { IndexedPack } from './index-file.js';
import type { KnownPack, LoadedIndex } from './index-loader.js';
import { type FinishedPack, PackBuilder } from './pack-builder.js';

/** Size from which a pack counts as full. */
const fullPackBytes = 16_777_216;
/** Room for a full pack, its last blob and its header. */
const bufferBytes = 26_214_400;
const maxWritesInFlight = 2;
/** An index file of so many blobs stays under the 8 MiB that the format advises. */
const blobsPerIndex = 40_000;

/** How a pack store writes. */
export interface PackStoreOptions {
  readonly compression: boolean;
  readonly writePack: (pack: FinishedPack) => Promise<void>;
  readonly writeIndex: (packs: readonly IndexedPack[]) => Promise<void>;
}

/** The writing half of a repository: blobs in, packs and index files out, in an order that survives a kill anywhere. */
export class PackStore {
  readonly #envelope: Envelope;
  readonly #index: LoadedIndex;
  readonly #options: PackStoreOptions;
  readonly #open = new Map<BlobType, { builder: PackBuilder; number: number; known: KnownPack; buffer: Buffer }>();
  readonly #buffers: Buffer[] = [];
  readonly #writing = new Set<Promise<void>>();
  #toIndex: IndexedPack[] = [];
  #blobsToIndex = 0;
  #failure: { readonly error: unknown } | undefined;
  /** Bytes of packs and index files written. */
  storedBytes = 0;

  constructor(envelope: Envelope, index: LoadedIndex, options: PackStoreOptions) {
    this.#envelope = envelope;
    this.#index = index;
    this.#options = options;
  }

  /** Puts a blob that is not stored yet into the open pack. Wait for `ready` before the next one. */
  add(type: BlobType, id: Buffer, bytes: Uint8Array): void {
    const packed = this.#options.compression ? compress(bytes) : undefined;
    const open = this.#open.get(type) ?? this.#openPack(type);
    const rawLength = packed === undefined ? 0 : bytes.length;
    const { offset, length } = open.builder.add(type, id, packed ?? bytes, rawLength);
    this.#index.blobs.add(type, id, { pack: open.number, offset, length, rawLength });
    if (open.builder.sizeBytes >= fullPackBytes) this.#close(type);
  }

  /** Whether `ready` would have to wait. */
  get busy(): boolean {
    return this.#writing.size >= maxWritesInFlight || this.#failure !== undefined;
  }

  /** Waits until there is room for another pack, and reports a write that failed. */
  async ready(): Promise<void> {
    while (this.#writing.size >= maxWritesInFlight) await Promise.race(this.#writing);
    if (this.#failure !== undefined) throw this.#failure.error;
    if (this.#blobsToIndex >= blobsPerIndex) await this.#writeIndex();
  }

  /** Everything added so far is durable and listed in an index file. */
  async flush(): Promise<void> {
    for (const type of [...this.#open.keys()]) this.#close(type);
    await Promise.all(this.#writing);
    if (this.#failure !== undefined) throw this.#failure.error;
    for (const pack of this.#index.unlisted.splice(0)) this.#remember(pack);
    await this.#writeIndex();
  }

  /** Waits for writes under way, whatever becomes of them. */
  async settle(): Promise<void> {
    await Promise.all(this.#writing);
  }

  #openPack(type: BlobType): { builder: PackBuilder; number: number; known: KnownPack; buffer: Buffer } {
    const buffer = this.#buffers.pop() ?? Buffer.allocUnsafeSlow(bufferBytes);
    const known = { id: '', present: true };
    const open = {
      builder: new PackBuilder(this.#envelope, buffer),
      number: this.#index.packs.push(known) - 1,
      known,
      buffer,
    };
    this.#open.set(type, open);
    return open;
  }

  #close(type: BlobType): void {
    const open = this.#open.get(type);
    if (open === undefined) return;
    this.#open.delete(type);
    const pack = open.builder.finish();
    open.known.id = pack.id;
    this.storedBytes += pack.bytes.length;
    const writing = this.#options
      .writePack(pack)
      .then(() => this.#remember(pack))
      .catch((error: unknown) => {
        open.known.present = false;
        this.#failure ??= { error };
      })
      .finally(() => {
        this.#buffers.push(open.buffer);
        this.#writing.delete(writing);
      });
    this.#writing.add(writing);
  }

  #remember({ id, blobs }: IndexedPack): void {
    this.#toIndex.push({ id, blobs });
    this.#blobsToIndex += blobs.length;
  }

  async #writeIndex(): Promise<void> {
    while (this.#toIndex.length > 0) {
      let blobs = 0;
      let count = 0;
      while (count < this.#toIndex.length && blobs < blobsPerIndex) blobs += this.#toIndex[count++]?.blobs.length ?? 0;
      const packs = this.#toIndex.splice(0, count);
      this.#blobsToIndex -= blobs;
      await this.#options.writeIndex(packs);
    }
  }
}
