import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { codeOf, MnopsError, storageError } from '@mnops/core';
import type { StorageDamage } from '@mnops/core/spi';
import { readCheckpointLog } from './checkpoints.js';
import { type OpenSegment, openSegment, readFurther } from './open-segment.js';
import type { Checkpoint, Payload } from './payload.js';
import { type OpenBlock, openBlock } from './read-block.js';
import { unreadableDamage } from './set-aside.js';
import type { StoreWriter } from './store-writer.js';
import { blockFile, checkpointFile, listFiles, listWriters, openFile, writersFolder } from './writer-folder.js';

/** What of one writer can be read now. */
export interface WriterView {
  readonly writer: string;
  readonly blocks: readonly OpenBlock[];
  /** Writes that are not sealed, in order. */
  readonly payloads: readonly Payload[];
}

/** Reads what all writers of a store wrote. */
export interface StoreReader {
  view(): Promise<readonly WriterView[]>;
  /** The newest checkpoint of a source that any writer kept. */
  checkpoint(source: string): Promise<Checkpoint | undefined>;
  close(): Promise<void>;
}

/** Memory for block indexes; the ones used longest ago go first. */
const maxIndexBytes = 32 * 1024 * 1024;

interface Followed {
  readonly segment: OpenSegment;
  readonly inode: number;
  nextOffset: number | undefined;
}

/** Makes a reader. With `own`, that writer's open part is read from memory. */
export function storeReader(
  folder: string,
  own: StoreWriter | undefined,
  damaged: (damage: StorageDamage) => void,
): StoreReader {
  const indexes = new Map<string, OpenBlock>();
  const unreadable = new Set<string>();
  /** Logs that could not be opened, as they were then: their writer sets them aside and makes new ones. */
  const unreadableLogs = new Map<string, string>();
  const followed = new Map<string, Followed>();
  let indexBytes = 0;

  async function indexOf(file: string): Promise<OpenBlock | undefined> {
    if (unreadable.has(file)) return undefined;
    const known = indexes.get(file);
    if (known !== undefined) {
      // A Map keeps the order of insertion: put last what was used last.
      indexes.delete(file);
      indexes.set(file, known);
      return known;
    }
    try {
      const block = await openBlock(file);
      for (const damage of block.damage) damaged(damage);
      remember(file, block);
      return block;
    } catch (error) {
      if (!MnopsError.is(error, 'MNOPS_CORE_STORAGE_UNREADABLE')) throw error;
      unreadable.add(file);
      damaged({ code: error.code, file, offset: 0, records: 0, remedy: error.remedy ?? '' });
      return undefined;
    }
  }

  function remember(file: string, block: OpenBlock): void {
    indexes.set(file, block);
    indexBytes += block.indexMemory;
    for (const [oldest, { indexMemory }] of indexes) {
      if (indexBytes <= maxIndexBytes || oldest === file) break;
      indexes.delete(oldest);
      indexBytes -= indexMemory;
    }
  }

  async function blocksOf(writerFolder: string, numbers: readonly number[]): Promise<OpenBlock[]> {
    const blocks: OpenBlock[] = [];
    for (const number of numbers) {
      const block = await indexOf(blockFile(writerFolder, number));
      if (block !== undefined) blocks.push(block);
    }
    return blocks;
  }

  async function followedPayloads(file: string, number: number, inode: number): Promise<readonly Payload[]> {
    let known = followed.get(file);
    if (known !== undefined && known.inode !== inode) {
      // Its writer set the file aside and made a new one of the same name.
      followed.delete(file);
      await known.segment.log.close();
      known = undefined;
    }
    if (known === undefined) {
      known = { segment: await openSegment(file, number, true), inode, nextOffset: undefined };
      known.nextOffset = known.segment.log.sizeBytes;
      for (const damage of known.segment.damage) damaged(damage);
      followed.set(file, known);
    } else {
      known.nextOffset = await readFurther(known.segment, known.nextOffset);
    }
    return known.segment.payloads;
  }

  async function viewOf(writer: string): Promise<WriterView> {
    const writerFolder = join(writersFolder(folder), writer);
    for (let attempt = 1; ; attempt += 1) {
      const files = await listFiles(writerFolder);
      try {
        const payloads: Payload[] = [];
        for (const number of files.opens) {
          const file = openFile(writerFolder, number);
          payloads.push(...(await readable(file, (inode) => followedPayloads(file, number, inode))));
        }
        await forget(writerFolder, files.opens);
        return { writer, blocks: await blocksOf(writerFolder, files.blocks), payloads };
      } catch (error) {
        // Sealed between the listing and the opening: the next listing shows the block.
        if (!isGone(error) || attempt === 5) throw error;
      }
    }
  }

  async function readable(
    file: string,
    read: (inode: number) => Promise<readonly Payload[]>,
  ): Promise<readonly Payload[]> {
    const { ino, size } = await stat(file).catch((error: unknown) => {
      throw storageError('read', file, error);
    });
    const state = `${ino}:${size}`;
    if (unreadableLogs.get(file) === state) return [];
    try {
      return await read(ino);
    } catch (error) {
      if (!MnopsError.is(error, 'MNOPS_CORE_STORAGE_UNREADABLE')) throw error;
      unreadableLogs.set(file, state);
      damaged(unreadableDamage(error, file));
      return [];
    }
  }

  async function forget(writerFolder: string, opens: readonly number[]): Promise<void> {
    const kept = new Set(opens.map((number) => openFile(writerFolder, number)));
    for (const [file, { segment }] of followed) {
      if (!file.startsWith(writerFolder) || kept.has(file)) continue;
      followed.delete(file);
      await segment.log.close();
    }
  }

  async function ownView(writer: StoreWriter): Promise<WriterView> {
    // Both in one turn: what is sealed meanwhile is then in one of them.
    const payloads = writer.opens.flatMap((segment) => segment.payloads);
    const numbers = [...writer.blocks];
    return { writer: writer.writer, blocks: await blocksOf(writer.folder, numbers), payloads };
  }

  return {
    async view() {
      const views: WriterView[] = own === undefined ? [] : [await ownView(own)];
      for (const writer of await listWriters(folder)) {
        if (writer !== own?.writer) views.push(await viewOf(writer));
      }
      return views;
    },
    async checkpoint(source) {
      let newest = own?.checkpoint(source);
      const consider = (found: Checkpoint | undefined): void => {
        if (found !== undefined && (newest === undefined || found.savedMs > newest.savedMs)) newest = found;
      };
      for (const { writer } of await this.view()) {
        if (writer === own?.writer) continue;
        const writerFolder = join(writersFolder(folder), writer);
        consider((await sealedCheckpoints(writerFolder, damaged)).get(source));
        for (const [file, { segment }] of followed) {
          if (file.startsWith(writerFolder)) consider(segment.checkpoints.get(source));
        }
      }
      return newest;
    },
    async close() {
      for (const { segment } of followed.values()) await segment.log.close();
      followed.clear();
    },
  };
}

async function sealedCheckpoints(
  writerFolder: string,
  damaged: (damage: StorageDamage) => void,
): Promise<ReadonlyMap<string, Checkpoint>> {
  const file = checkpointFile(writerFolder);
  try {
    return await readCheckpointLog(file);
  } catch (error) {
    if (isGone(error)) return new Map();
    if (!MnopsError.is(error, 'MNOPS_CORE_STORAGE_UNREADABLE')) throw error;
    // The checkpoints of the other writers still stand; at worst a source is read from further back.
    damaged(unreadableDamage(error, file));
    return new Map();
  }
}

function isGone(error: unknown): boolean {
  if (codeOf(error) !== 'MNOPS_CORE_STORAGE_FAILED') return false;
  return codeOf((error as { cause?: unknown }).cause) === 'ENOENT';
}
