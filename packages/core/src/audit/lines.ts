import { createReadStream } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { storageError } from '../errors/core-error.js';
import { codeOf } from '../errors/mnops-error.js';

const extension = '.jsonl';

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

/** The lines of a file, some thousand at a time. */
export async function* linesOf(file: string): AsyncGenerator<readonly FileLine[], void> {
  let rest: Buffer = Buffer.alloc(0);
  try {
    for await (const chunk of createReadStream(file, { highWaterMark: 1024 * 1024 })) {
      const bytes: Buffer = rest.length === 0 ? (chunk as Buffer) : Buffer.concat([rest, chunk as Buffer]);
      const end = bytes.lastIndexOf(0x0a);
      rest = bytes.subarray(end + 1);
      if (end === -1) continue;
      yield bytes
        .toString('utf8', 0, end)
        .split('\n')
        .map((text) => ({ text, whole: true }));
    }
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return;
    throw storageError('read', file, error);
  }
  if (rest.length > 0) yield [{ text: rest.toString('utf8'), whole: false }];
}
