import { ftruncateSync, writeSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';

/** The writing calls of a log, so that a test can stand for a disk that is full or fails. */
export interface FileCalls {
  write(handle: FileHandle, bytes: Buffer, from: number, position: number): Promise<number>;
  writeSync(descriptor: number, bytes: Buffer, from: number, position: number): number;
  sync(handle: FileHandle): Promise<void>;
  truncateSync(descriptor: number, length: number): void;
}

/** The real calls. */
export const systemFiles: FileCalls = {
  write: async (handle, bytes, from, position) =>
    (await handle.write(bytes, from, bytes.length - from, position)).bytesWritten,
  writeSync: (descriptor, bytes, from, position) => writeSync(descriptor, bytes, from, bytes.length - from, position),
  sync: (handle) => handle.datasync(),
  truncateSync: ftruncateSync,
};
