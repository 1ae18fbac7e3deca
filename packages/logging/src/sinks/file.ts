import { closeSync, existsSync, fstatSync, fsync, mkdirSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { promisify } from 'node:util';
import { codeOf, storageError } from '@mnops/core';
import { countSchema, parseOptions, textSchema } from '@mnops/core/config';
import * as v from 'valibot';
import type { LogFormat } from '../formats/line-format.js';
import { turnWriter, type WriteBytes } from '../logger/turn-writer.js';
import { formatSchema } from './format-schema.js';
import type { LineSink, OpenSink, SinkContext } from './sink.js';

/** How lines are written to a file. */
export interface FileSinkOptions {
  /** The file; its folder is made when it is not there. Lines are appended. */
  readonly path: string;
  /** Default: the host's, else `otel`. */
  readonly format?: LogFormat | undefined;
  /** Size after which the file becomes `<path>.1` and a new one is begun. Default: never. One process per file then. */
  readonly maxBytes?: number | undefined;
  /** Older files that are kept when `maxBytes` is given. Default 5. */
  readonly maxFiles?: number | undefined;
}

const schema = v.strictObject({
  path: textSchema,
  format: v.optional(formatSchema),
  maxBytes: v.optional(countSchema),
  maxFiles: v.optional(countSchema),
});

const syncFile = promisify(fsync);
const newline = 10;

/**
 * Appends lines to a file with one system call per turn, so that a killed process loses no more than the lines of the
 * running turn. While the disk is full lines are kept in memory, up to the limit; writing resumes by itself.
 */
export function fileSink(options: FileSinkOptions): LineSink {
  const { path, format, maxBytes, maxFiles = 5 } = parseOptions('fileSink', schema, options);
  return {
    kind: 'line-sink',
    id: `file:${path}`,
    format: format as LogFormat | undefined,
    colors: false,
    open: (context) => openFileSink({ path: resolve(path), maxBytes, maxFiles }, context),
  };
}

interface Target {
  readonly path: string;
  readonly maxBytes: number | undefined;
  readonly maxFiles: number;
}

function openFileSink(target: Target, context: SinkContext): OpenSink {
  const file = new RotatingFile(target);
  const writer = turnWriter({ write: file.write, ...context });
  return {
    push: (line) => writer.push(line),
    flushNow: () => writer.flushNow(),
    drainNow: (waitMs) => writer.drainNow(waitMs),
    sync: async () => {
      writer.flushNow();
      await file.sync();
    },
    async close() {
      writer.drainNow(0);
      file.close();
    },
    get queuedBytes() {
      return writer.queuedBytes;
    },
    get failing() {
      return writer.failing;
    },
  };
}

class RotatingFile {
  readonly #target: Target;
  #descriptor: number;
  #size: number;
  #atLineEnd = true;
  #closed = false;

  constructor(target: Target) {
    this.#target = target;
    try {
      makeFolder(dirname(target.path));
      this.#descriptor = openSync(target.path, 'a', 0o640);
      this.#size = fstatSync(this.#descriptor).size;
    } catch (error) {
      throw storageError('open', target.path, error);
    }
  }

  readonly write: WriteBytes = (bytes, offset, length) => {
    if (this.#closed) return 0;
    const { maxBytes } = this.#target;
    if (maxBytes !== undefined && this.#size >= maxBytes && this.#atLineEnd) this.#rotate();
    const written = writeSync(this.#descriptor, bytes, offset, length);
    this.#size += written;
    this.#atLineEnd = bytes[offset + written - 1] === newline;
    return written;
  };

  #rotate(): void {
    const { path, maxFiles } = this.#target;
    rmSync(`${path}.${maxFiles}`, { force: true });
    for (let number = maxFiles - 1; number >= 1; number -= 1)
      renameIfThere(`${path}.${number}`, `${path}.${number + 1}`);
    renameIfThere(path, `${path}.1`);
    const next = openSync(path, 'a', 0o640);
    closeSync(this.#descriptor);
    this.#descriptor = next;
    this.#size = fstatSync(next).size;
  }

  async sync(): Promise<void> {
    try {
      if (!this.#closed) await syncFile(this.#descriptor);
    } catch (error) {
      // A character device such as /dev/null or a pipe has nothing to sync; a rotation closed what it wrote.
      if (!['EINVAL', 'ENOTSUP', 'EROFS', 'EBADF'].includes(codeOf(error) ?? '')) {
        throw storageError('sync', this.#target.path, error);
      }
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    closeSync(this.#descriptor);
  }
}

/** Makes a folder and its parents. Node's own `recursive` never returns where a file system refuses with ENOENT, as /proc does. */
function makeFolder(folder: string): void {
  if (existsSync(folder)) return;
  const parent = dirname(folder);
  if (parent !== folder) makeFolder(parent);
  try {
    mkdirSync(folder);
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error;
  }
}

function renameIfThere(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
  }
}
