import { type FileHandle, open } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { coreError, storageError } from '@mnops/core';
import type { StorageDamage } from '@mnops/core/spi';
import {
  type BlockHeader,
  blockHeaderBytes,
  chunkHeaderBytes,
  decodeBlockHeader,
  decodeChunkHeader,
  decodeIndex,
  type IndexedChunk,
} from './block-format.js';
import { type Chunk, decodeChunk } from './chunk.js';

const remedy = 'Restore the block from a backup if the lost entries matter, and check the disk.';

/** A block that was opened: what is in it, and what of it is lost. */
export interface OpenBlock {
  readonly file: string;
  readonly header: BlockHeader;
  readonly chunks: readonly IndexedChunk[];
  /** Damage found so far. */
  readonly damage: readonly StorageDamage[];
  /** Bytes that the index takes in memory, about. */
  readonly indexMemory: number;
}

/**
 * Opens a block by its header and index. Either copy of the header is enough; without the index the chunks are found by
 * their own headers.
 *
 * @throws {MnopsError} `MNOPS_CORE_STORAGE_UNREADABLE` when neither copy of the header can be read.
 */
export async function openBlock(file: string): Promise<OpenBlock> {
  return withFile(file, async (handle) => {
    const { size } = await handle.stat();
    const first = decodeBlockHeader(await readAt(handle, 0, blockHeaderBytes));
    const second = decodeBlockHeader(await readAt(handle, Math.max(0, size - blockHeaderBytes), blockHeaderBytes));
    const header = first ?? second;
    if (header === undefined) {
      const message = `Cannot open ${file}: both copies of its header are damaged, or it is no log block.`;
      throw coreError('MNOPS_CORE_STORAGE_UNREADABLE', message, { details: { path: file } });
    }
    const damage: StorageDamage[] = [];
    const report = (offset: number, records: number, what = remedy): void => {
      damage.push({ code: 'MNOPS_CORE_STORAGE_DAMAGED', file, offset, records, remedy: what });
    };
    if (first === undefined) report(0, 0, 'None: the second copy of the header is whole.');
    if (second === undefined) report(size, 0, 'None: the first copy of the header is whole.');
    const index = await readAt(handle, header.indexOffset, header.indexBytes);
    let chunks = decodeIndex(index, header.marker, header.chunks);
    if (chunks === undefined) {
      chunks = await findChunks(handle, header);
      const lost = header.entries - chunks.reduce((sum, chunk) => sum + chunk.count, 0);
      report(Math.min(header.indexOffset, size), lost, lost === 0 ? 'None: the index was made anew.' : remedy);
    }
    return { file, header, chunks, damage, indexMemory: index.length + chunks.length * 160 };
  });
}

/** Finds chunks by their own headers, for a block whose index is damaged or cut off. */
async function findChunks(handle: FileHandle, header: BlockHeader): Promise<IndexedChunk[]> {
  const bytes = await readAt(handle, 0, Math.min(header.indexOffset, header.fileBytes));
  const chunks: IndexedChunk[] = [];
  let at = blockHeaderBytes;
  while (at < bytes.length) {
    const found = decodeChunkHeader(bytes, at, header.marker);
    if (found !== undefined && at + chunkHeaderBytes + found.bodyBytes <= bytes.length) {
      chunks.push({ ...found, offset: at });
      at += chunkHeaderBytes + found.bodyBytes;
      continue;
    }
    const next = bytes.indexOf(header.marker, at + 1);
    if (next === -1) break;
    at = next;
  }
  return chunks;
}

/** Reads chunks of a block one after the other; each is decoded entries, or the damage that stands in its place. */
export async function* readChunks(
  block: OpenBlock,
  wanted: readonly IndexedChunk[],
  writer: string,
): AsyncGenerator<{ readonly chunk: IndexedChunk; readonly rows: Chunk | StorageDamage }> {
  const handle = await openFile(block.file);
  try {
    for (const chunk of wanted) {
      const body = await readAt(handle, chunk.offset + chunkHeaderBytes, chunk.bodyBytes);
      yield { chunk, rows: rowsOf(block, chunk, body, writer) };
    }
  } finally {
    await handle.close();
  }
}

function rowsOf(block: OpenBlock, chunk: IndexedChunk, body: Buffer, writer: string): Chunk | StorageDamage {
  const damage: StorageDamage = {
    code: 'MNOPS_CORE_STORAGE_DAMAGED',
    file: block.file,
    offset: chunk.offset,
    records: chunk.count,
    remedy,
  };
  if (body.length !== chunk.bodyBytes || crc32(body) !== chunk.bodyCheck) return damage;
  try {
    return decodeChunk(body, chunk.count, chunk.firstSequence, writer);
  } catch {
    return damage;
  }
}

/** Whether a read gave damage instead of entries. */
export function isDamage(rows: Chunk | StorageDamage): rows is StorageDamage {
  return 'remedy' in rows;
}

async function withFile<T>(file: string, run: (handle: FileHandle) => Promise<T>): Promise<T> {
  const handle = await openFile(file);
  try {
    return await run(handle);
  } finally {
    await handle.close();
  }
}

async function openFile(file: string): Promise<FileHandle> {
  try {
    return await open(file, 'r');
  } catch (error) {
    throw storageError('open', file, error);
  }
}

/** The bytes at a place, fewer when the file ends before. */
async function readAt(handle: FileHandle, offset: number, length: number): Promise<Buffer> {
  // A damaged length must not make room for gigabytes.
  const { size } = await handle.stat();
  const target = Buffer.alloc(Math.max(0, Math.min(length, size - offset)));
  let filled = 0;
  while (filled < target.length) {
    const { bytesRead } = await handle.read(target, filled, target.length - filled, offset + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return target.subarray(0, filled);
}
