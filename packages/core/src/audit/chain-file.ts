import { randomBytes } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { storageError } from '../errors/core-error.js';
import { MnopsError } from '../errors/mnops-error.js';
import { syncFolder } from '../files/atomic.js';
import type { FileCalls } from '../files/file-calls.js';
import { acquireFileLock, type FileLock } from '../files/file-lock.js';
import { type ChainHead, noHash, parseLine } from './entry.js';
import { fileOf, writersIn } from './lines.js';

const tailBytes = 64 * 1024;
/** Chains at rest whose heads a new opening records; more would make each opening slow. */
const mostOthers = 64;

/** Head of a chain that was at rest when another one was opened. */
export interface OtherHead extends ChainHead {
  readonly writer: string;
}

/** The file of one chain, with the right to write it. */
export interface ChainFile {
  readonly writer: string;
  readonly head: ChainHead;
  /** Bytes of a torn line that were cut off. */
  readonly tornBytes: number;
  readonly others: readonly OtherHead[];
  /** Appends durably, all or nothing. */
  append(bytes: Buffer): Promise<void>;
  /** Takes the last append back. */
  undo(): void;
  close(): Promise<void>;
}

/**
 * Takes over a chain in the folder that nobody writes, or begins a new one. So a folder has as many files as there were
 * processes at one time, not as there ever were.
 */
export async function openChain(folder: string, calls: FileCalls): Promise<ChainFile> {
  const others: OtherHead[] = [];
  let taken: { readonly lock: FileLock; readonly writer: string; readonly tail: Tail } | undefined;
  for (const writer of await writersIn(folder)) {
    const lock = await tryLock(folder, writer);
    if (lock === undefined) continue;
    const tail = await readTail(fileOf(folder, writer));
    if (taken === undefined && tail.head !== undefined) {
      taken = { lock, writer, tail };
      continue;
    }
    // A chain whose end is damaged is left as it is, for the verifier.
    if (tail.head !== undefined && others.length < mostOthers) others.push({ writer, ...tail.head });
    await lock.release();
  }
  if (taken === undefined) {
    const writer = `w-${randomBytes(8).toString('hex')}`;
    const lock = await acquireFileLock(lockOf(folder, writer), { purpose: 'audit' });
    taken = { lock, writer, tail: { head: { sequence: -1, hash: noHash }, end: 0, size: 0 } };
  }
  return chainFile(folder, taken, others, calls);
}

/** Whether a living process writes a chain now. */
export async function isBeingWritten(folder: string, writer: string): Promise<boolean> {
  try {
    const lock = await tryLock(folder, writer);
    await lock?.release();
    return lock === undefined;
  } catch {
    // A folder that cannot be written, such as a copy on read-only media.
    return false;
  }
}

function lockOf(folder: string, writer: string): string {
  return join(folder, `${writer}.lock`);
}

async function tryLock(folder: string, writer: string): Promise<FileLock | undefined> {
  try {
    return await acquireFileLock(lockOf(folder, writer), { purpose: 'audit' });
  } catch (error) {
    if (MnopsError.is(error, 'MNOPS_CORE_LOCKED')) return undefined;
    throw error;
  }
}

interface Tail {
  /** `undefined` when the last whole line is damaged. */
  readonly head: ChainHead | undefined;
  /** Where the last whole line ends. */
  readonly end: number;
  readonly size: number;
}

async function readTail(file: string): Promise<Tail> {
  let handle: FileHandle;
  try {
    handle = await open(file, 'r+');
  } catch (error) {
    throw storageError('open', file, error);
  }
  try {
    const { size } = await handle.stat();
    // A longer line cannot be: details are bounded, and so are the texts.
    const start = Math.max(0, size - 4 * tailBytes);
    const bytes = Buffer.alloc(size - start);
    await handle.read(bytes, 0, bytes.length, start);
    const end = bytes.lastIndexOf(0x0a);
    if (end === -1) return { head: undefined, end: 0, size };
    const begin = bytes.lastIndexOf(0x0a, end - 1) + 1;
    const entry = parseLine(bytes.toString('utf8', begin, end));
    // What is recorded as the head of a chain must still be there after a power cut.
    await handle.sync();
    const head = entry === undefined ? undefined : { sequence: entry.sequence, hash: entry.hash };
    return { head, end: start + end + 1, size };
  } catch (error) {
    throw storageError('read', file, error);
  } finally {
    await handle.close();
  }
}

async function chainFile(
  folder: string,
  { lock, writer, tail }: { readonly lock: FileLock; readonly writer: string; readonly tail: Tail },
  others: readonly OtherHead[],
  calls: FileCalls,
): Promise<ChainFile> {
  const file = fileOf(folder, writer);
  let handle: FileHandle;
  let size = tail.end;
  let before = size;
  let torn = tail.size > tail.end;
  try {
    handle = await open(file, tail.size === 0 ? 'w' : 'r+', 0o600);
    if (tail.size === 0) await syncFolder(folder);
  } catch (error) {
    await lock.release();
    throw storageError('open', file, error);
  }

  /** Synchronous: nothing can be written between the decision and the cut. */
  const cut = (): void => {
    torn = true;
    calls.truncateSync(handle.fd, size);
    torn = false;
  };
  return {
    writer,
    head: tail.head as ChainHead,
    tornBytes: tail.size - tail.end,
    others,
    append: async (bytes) => {
      try {
        if (torn) cut();
        let written = 0;
        while (written < bytes.length) written += await calls.write(handle, bytes, written, size + written);
        await calls.sync(handle);
        before = size;
        size += bytes.length;
      } catch (error) {
        try {
          cut();
        } catch {
          // The next append tries it first.
        }
        throw storageError('append to', file, error);
      }
    },
    undo: () => {
      size = before;
      try {
        cut();
      } catch {
        // The next append tries it first.
      }
    },
    close: async () => {
      await handle.close();
      await lock.release();
    },
  };
}
