import { readdir, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { codeOf, coreError, MnopsError } from '@mnops/core';
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
  /** A file whose header cannot be read; afterwards it is not there any more, or it is told of no more. */
  readonly unreadable: (file: string, damage: StorageDamage) => Promise<void>;
  /** Wall clock, epoch milliseconds. */
  readonly now: () => number;
}

const writerForm = '[0-9a-f]{12}';
/** The second is a file of the quarantine that was moved back, to be sent again. */
const segmentForm = new RegExp(`^(?:(${writerForm})-\\d{6,}|refused-(${writerForm}))\\.spool$`);
const lockForm = new RegExp(`^(${writerForm})\\.lock$`);
/** Left by a process that ended while it made or mended a segment, or took a lock. */
const leftForm = new RegExp(
  `^(?:\\.(${writerForm})-\\d{6,}\\.spool\\.[0-9a-f]+\\.tmp|(${writerForm})-\\d{6,}\\.spool\\.rewrite|(${writerForm})\\.lock\\.[\\w-]+)$`,
);

/** More than any segment has: what is larger is not read into memory. */
const largestFileBytes = 67_108_864;

/** Name of a segment file. */
export function segmentName(writer: string, number: number): string {
  return `${writer}-${String(number).padStart(6, '0')}.spool`;
}

/** Name of a file of spans that a back end refused. */
export function refusedName(writer: string): string {
  return `refused-${writer}.spool`;
}

/** The writer that a file belongs to, `undefined` for a foreign one. */
function writerOf(name: string): string | undefined {
  const found = segmentForm.exec(name) ?? lockForm.exec(name) ?? leftForm.exec(name);
  return found?.slice(1).find((writer) => writer !== undefined);
}

/** The files here by their writer, but for those of writers that are known. Only plain files count: a pipe would be waited for. */
export async function deadWriters(
  folder: string,
  known: (writer: string) => boolean,
): Promise<ReadonlyMap<string, readonly string[]>> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  const byWriter = new Map<string, string[]>();
  for (const entry of entries) {
    const writer = entry.isFile() ? writerOf(entry.name) : undefined;
    if (writer === undefined || known(writer)) continue;
    const names = byWriter.get(writer);
    if (names === undefined) byWriter.set(writer, [entry.name]);
    else names.push(entry.name);
  }
  return new Map([...byWriter].sort(([left], [right]) => (left < right ? -1 : 1)));
}

/**
 * Takes over a writer's segments; `undefined` while its process lives.
 *
 * @param seen - Names of its files before its lock was taken.
 */
export async function adoptWriter(
  folder: string,
  writer: string,
  seen: readonly string[],
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
  for (const name of [...seen].sort()) {
    const file = join(folder, name);
    if (leftForm.test(name)) await unlink(file).catch(() => undefined);
    else if (segmentForm.test(name)) await adoptFile(file, segments, listeners);
  }
  return { lock, segments };
}

async function adoptFile(file: string, segments: SpoolSegment[], listeners: AdoptionListeners): Promise<void> {
  try {
    // Another process may have taken it over and delivered it since its name was read.
    const { size } = await stat(file);
    if (size > largestFileBytes) throw tooLarge(file, size);
    const segment = await SpoolSegment.adopt(file, listeners.now());
    for (const damage of segment.damage) listeners.damaged(damage);
    if (segment.live.size === 0) await segment.remove();
    else segments.push(segment);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return;
    const isUnreadable = MnopsError.is(error, 'MNOPS_CORE_STORAGE_UNREADABLE');
    const damage: StorageDamage = {
      code: codeOf(error) ?? 'MNOPS_CORE_STORAGE_FAILED',
      file,
      offset: 0,
      records: 1,
      remedy: isUnreadable
        ? 'None: the file was moved to `quarantine`, and its spans are lost. Check the disk.'
        : 'Make the file readable and writable for this process: it is tried again every 30 s.',
    };
    if (isUnreadable) await listeners.unreadable(file, damage);
    else listeners.damaged(damage);
  }
}

function tooLarge(file: string, bytes: number): MnopsError {
  return coreError('MNOPS_CORE_STORAGE_UNREADABLE', `Cannot open ${file}: no segment has ${bytes} bytes.`);
}
