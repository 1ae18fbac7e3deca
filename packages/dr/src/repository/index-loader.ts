import { BlobIndex } from './blob-index.js';
import type { Envelope } from './envelope.js';
import type { RepositoryFinding } from './finding.js';
import { decodeIndex, type IndexedPack } from './index-file.js';
import { readPackHeader } from './pack-header.js';
import type { RepositoryFolder } from './repository-folder.js';

/** What is known of one pack. */
export interface KnownPack {
  /** Hex id; empty while the pack is being filled. */
  id: string;
  /** Whether the file is there. Blobs of a missing pack count as not stored. */
  present: boolean;
}

/** Everything that the index files and, where those are silent, the packs themselves say. */
export interface LoadedIndex {
  readonly blobs: BlobIndex;
  readonly packs: KnownPack[];
  /** Index files that were read. */
  readonly files: ReadonlySet<string>;
  /** Packs that no readable index file lists; the next index file will. */
  readonly unlisted: IndexedPack[];
  readonly findings: readonly RepositoryFinding[];
}

/** Reads all index files, then the headers of packs that none of them lists, so that a damaged index costs nothing. */
export function loadIndex(folder: RepositoryFolder, sealed: Envelope, read: (id: string) => unknown): LoadedIndex {
  const findings: RepositoryFinding[] = [];
  const blobs = new BlobIndex();
  const packs: KnownPack[] = [];
  const numbers = new Map<string, number>();
  const present = new Set(folder.list('data'));
  const enter = ({ id, blobs: packed }: IndexedPack): void => {
    // A pack may stand in several index files, also with parts of its blobs in each.
    const number = numbers.get(id) ?? packs.push({ id, present: present.has(id) }) - 1;
    numbers.set(id, number);
    for (const { type, id: blob, offset, length, rawLength } of packed) {
      if (!blobs.has(type, blob, (pack) => pack === number))
        blobs.add(type, blob, { pack: number, offset, length, rawLength });
    }
  };
  const files = folder.list('index');
  for (const file of files) {
    const listed = decodeIndex(read(file));
    if (listed === undefined) findings.push(damagedIndex(folder.nameOf('index', file)));
    for (const pack of listed ?? []) enter(pack);
  }
  for (const pack of packs) if (!pack.present) findings.push(missingPack(folder.nameOf('data', pack.id)));
  const unlisted: IndexedPack[] = [];
  for (const id of present) {
    if (numbers.has(id)) continue;
    const header = readPackHeader(folder.packSize(id), (offset, length) => folder.readPack(id, offset, length), sealed);
    if (header === undefined) {
      findings.push(headlessPack(folder.nameOf('data', id)));
      continue;
    }
    unlisted.push({ id, blobs: header });
    enter({ id, blobs: header });
  }
  return { blobs, packs, files: new Set(files), unlisted, findings };
}

function damagedIndex(object: string): RepositoryFinding {
  return {
    kind: 'index',
    severity: 'warning',
    object,
    message: 'The index file is damaged; the packs themselves were asked instead.',
    remedy: 'Run `restic rebuild-index`, which writes the index anew from the packs.',
  };
}

function missingPack(object: string): RepositoryFinding {
  return {
    kind: 'pack',
    severity: 'error',
    object,
    message: 'The pack is missing; what only it held is lost unless a backup reads it again.',
    remedy: 'Bring the file back from another copy of the repository, or back up again.',
  };
}

function headlessPack(object: string): RepositoryFinding {
  return {
    kind: 'pack',
    severity: 'warning',
    object,
    message: 'No readable index lists the pack and its own list of blobs is damaged, so its blobs cannot be found.',
    remedy: 'Bring the pack or the index file back from another copy of the repository.',
  };
}
