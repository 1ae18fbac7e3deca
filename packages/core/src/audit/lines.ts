import { createReadStream } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { storageError } from '../errors/core-error.js';
import { codeOf } from '../errors/mnops-error.js';

const extension = '.jsonl';
/** The byte that ends each line. */
export const lineBreak = 0x0a;

/** One line of a file. */
export interface FileLine {
  readonly text: string;
  /** False for bytes at the end of the file that no line break follows. */
  readonly whole: boolean;
}

/** The writers that have a file in a folder, sorted. A folder that is absent has none. */
export async function writersIn(folder: string): Promise<readonly string[]> {
  try {
    const names = await readdir(folder);
    return names
      .filter((name) => name.endsWith(extension))
      .map((name) => basename(name, extension))
      .sort();
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return [];
    throw storageError('read folder', folder, error);
  }
}

/** The file of a writer. */
export function fileOf(folder: string, writer: string): string {
  return join(folder, `${writer}${extension}`);
}

/** A part of a file: whole lines with their line breaks, or what stands behind the last line break. */
export interface FilePart {
  readonly bytes: Buffer;
  readonly whole: boolean;
}

/** The bytes of a file, some thousand lines at a time. */
export async function* partsOf(file: string): AsyncGenerator<FilePart, void> {
  let rest: Buffer = Buffer.alloc(0);
  try {
    for await (const chunk of createReadStream(file, { highWaterMark: 1024 * 1024 })) {
      const bytes: Buffer = rest.length === 0 ? (chunk as Buffer) : Buffer.concat([rest, chunk as Buffer]);
      const end = bytes.lastIndexOf(lineBreak) + 1;
      rest = bytes.subarray(end);
      if (end > 0) yield { bytes: bytes.subarray(0, end), whole: true };
    }
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return;
    throw storageError('read', file, error);
  }
  if (rest.length > 0) yield { bytes: rest, whole: false };
}

/** The lines of a file, some thousand at a time. */
export async function* linesOf(file: string): AsyncGenerator<readonly FileLine[], void> {
  for await (const { bytes, whole } of partsOf(file)) {
    const text = bytes.toString('utf8', 0, whole ? bytes.length - 1 : bytes.length);
    yield text.split('\n').map((line) => ({ text: line, whole }));
  }
}
