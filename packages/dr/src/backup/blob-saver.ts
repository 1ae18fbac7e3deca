import { hash } from 'node:crypto';
import type { BlobType } from '../repository/blob-index.js';
import type { PackStore } from '../repository/pack-store.js';
import type { Repository } from '../repository/repository.js';

/** Stores blobs that are not stored yet, and counts. */
export class BlobSaver {
  readonly #repository: Repository;
  readonly #store: PackStore;
  readonly #usable: (pack: number) => boolean;
  /** Plain bytes of blobs that were new. */
  addedBytes = 0;
  addedBlobs = 0;

  constructor(repository: Repository, store: PackStore) {
    this.#repository = repository;
    this.#store = store;
    // A blob whose only pack is missing or damaged is stored again: the backup heals the repository.
    this.#usable = (pack) => repository.isSound(pack);
  }

  /** Whether a blob is stored, in a pack that is there. */
  has(type: BlobType, id: Buffer): boolean {
    return this.#repository.blobs.has(type, id, this.#usable);
  }

  /** Stores the bytes, unless they are stored; wait for `settle` now and then. */
  save(type: BlobType, bytes: Uint8Array): Buffer {
    const id = hash('sha256', bytes, 'buffer');
    if (this.has(type, id)) return id;
    this.#store.add(type, id, bytes);
    this.addedBytes += bytes.length;
    this.addedBlobs += 1;
    return id;
  }

  get busy(): boolean {
    return this.#store.busy;
  }

  /** Waits while packs are written faster than the disk takes them. */
  async settle(): Promise<void> {
    if (this.#store.busy) await this.#store.ready();
  }
}
