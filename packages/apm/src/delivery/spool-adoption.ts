import { readdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { codeOf, MnopsError } from '@mnops/core';
import { acquireFileLock, type FileLock } from '@mnops/core/files';
import type { StorageDamage } from '@mnops/core/spi';
import { SpoolSegment } from './spool-segment.js';

/** Segments of a process that ended, and its lock. */
export interface Adopted {
  readonly lock: FileLock;
  readonly segments: readonly SpoolSegment[];
}

/** What becomes of files that are not whole. */
export interface AdoptionListeners {
  readonly damaged: (damage: StorageDamage) => void;
  /** A file whose header cannot be read; afterwards it is not there any more. */
  readonly unreadable: (file: string) => Promise<void>;
}

const nameForm = /^\.?([0-9a-f]{12})(?:-(\d{6,})\.spool|\.lock)/;

/** Name of a segment file. */
export function segmentName(writer: string, number: number): string {
  return `${writer}-${String(number).padStart(6, '0')}.spool`;
}

/** Writers that have files here, but for those that are known. */
export async function deadWriters(folder: string, known: (writer: string) => boolean): Promise<string[]> {
  const names = await readdir(folder).catch(() => [] as string[]);
  const writers = names.map((name) => nameForm.exec(name)?.[1]).filter((writer) => writer !== undefined);
  return [...new Set(writers)].filter((writer) => !known(writer)).sort();
}

/** Takes over a writer's segments; `undefined` while its process lives. */
export async function adoptWriter(
  folder: string,
  writer: string,
  listeners: AdoptionListeners,
): Promise<Adopted | undefined> {
  let lock: FileLock;
  try {
    lock = await acquireFileLock(join(folder, `${writer}.lock`), { purpose: 'spool' });
  } catch (error) {
    if (codeOf(error) === 'MNOPS_CORE_LOCKED') return undefined;
    throw error;
  }
  const segments: SpoolSegment[] = [];
  const names = (await readdir(folder)).filter((name) => nameForm.exec(name)?.[1] === writer).sort();
  for (const name of names) {
    const file = join(folder, name);
    // Left by a process that ended while it made or mended a segment.
    if (name.startsWith('.') || name.endsWith('.rewrite')) await unlink(file).catch(() => undefined);
    else if (name.endsWith('.spool')) await adoptFile(file, segments, listeners);
  }
  return { lock, segments };
}

async function adoptFile(file: string, segments: SpoolSegment[], listeners: AdoptionListeners): Promise<void> {
  try {
    const segment = await SpoolSegment.adopt(file);
    for (const damage of segment.damage) listeners.damaged(damage);
    if (segment.live.size === 0) await segment.remove();
    else segments.push(segment);
  } catch (error) {
    if (!MnopsError.is(error, 'MNOPS_CORE_STORAGE_UNREADABLE')) return;
    listeners.damaged({
      code: error.code,
      file,
      offset: 0,
      records: 1,
      remedy: 'None: the file was moved to `quarantine`, and its spans are lost. Check the disk.',
    });
    await listeners.unreadable(file);
  }
}
