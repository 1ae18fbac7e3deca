import { createReadStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { crc32 } from 'node:zlib';
import { coreError, storageError } from '../errors/core-error.js';
import { codeOf, MnopsError } from '../errors/mnops-error.js';
import type { Call } from '../spi/base.js';
import type { RestoreSummary, SnapshotEntry, SnapshotReader, SnapshotSink } from '../spi/recoverable.js';

/** A sink that notes every file that goes through it. */
export interface ManifestSink {
  /** Adds one file; the entry's size is that of the bytes where they are given as a whole. */
  add(entry: SnapshotEntry, body: Uint8Array | AsyncIterable<Uint8Array>): Promise<void>;
  /** Adds the manifest, after which the snapshot is whole. */
  finish(): Promise<void>;
}

/** What a snapshot should hold. */
export interface SnapshotManifest {
  /** Relative paths, each without an empty, `.` or `..` segment. */
  readonly paths: readonly string[];
  /**
   * Hands a file's bytes on. At their end it throws `MNOPS_CORE_STORAGE_UNREADABLE` where size or check value differ, or
   * where the manifest does not name the file: until then what came through counts for nothing.
   */
  checked(path: string, body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void>;
}

/** A file as it was saved. */
interface SavedFile {
  readonly bytes: number;
  readonly crc32: number;
}

const manifestPath = 'manifest.json';
const mostManifestBytes = 64 * 1_024 * 1_024;

/**
 * Notes size and check value of what a component saves, so that a file that is missing or cut short is noticed at the
 * restore: many a file looks whole to itself when its end is gone.
 *
 * @param call - Aborts between two parts of a file.
 */
export function manifestSink(sink: SnapshotSink, call: Call): ManifestSink {
  const files = new Map<string, SavedFile>();
  const write = async (entry: SnapshotEntry, body: Uint8Array | AsyncIterable<Uint8Array>): Promise<SavedFile> => {
    const seen = { bytes: 0, crc32: 0 };
    const whole = body instanceof Uint8Array ? { size: body.length } : undefined;
    await sink.addStream({ ...entry, ...whole }, noted(body instanceof Uint8Array ? [body] : body, seen, call));
    return seen;
  };
  return {
    async add(entry, body) {
      const path = portablePath(entry.path);
      files.set(path, await write({ ...entry, path }, body));
    },
    async finish() {
      const manifest = JSON.stringify({ version: 1, files: Object.fromEntries(files) });
      await write({ path: manifestPath }, Buffer.from(manifest));
    },
  };
}

/**
 * Reads the manifest of a snapshot.
 *
 * @param what - What the snapshot is of, for the errors: `the log store`.
 * @throws {MnopsError} `MNOPS_CORE_STORAGE_UNREADABLE` where it is missing, damaged or of another version.
 */
export async function readManifest(
  from: Pick<SnapshotReader, 'read'>,
  what: string,
  call: Call,
): Promise<SnapshotManifest> {
  const files = filesOf(await textOf(from, what, call), what);
  return {
    paths: [...files.keys()],
    async *checked(path, body) {
      const expected = files.get(path);
      if (expected === undefined) throw notWhole(what, `${manifestPath} does not name ${path}`);
      const seen = { bytes: 0, crc32: 0 };
      yield* noted(body, seen, call);
      if (seen.bytes !== expected.bytes || seen.crc32 !== expected.crc32) throw notWhole(what, `${path} differs`);
    },
  };
}

/**
 * Checks a folder that a snapshot was restored into against the manifest in it, and takes the manifest away.
 *
 * @param what - What the snapshot is of, for the errors: `the log store`.
 * @returns Number and bytes of the files, without the manifest.
 * @throws {MnopsError} `MNOPS_CORE_STORAGE_UNREADABLE` naming the first file that is missing or differs.
 */
export async function checkRestored(folder: string, what: string, call: Call): Promise<RestoreSummary> {
  const read = (path: string): AsyncIterable<Uint8Array> => createReadStream(join(folder, path));
  const manifest = await readManifest({ read }, what, call);
  let bytes = 0;
  for (const path of manifest.paths) {
    try {
      for await (const part of manifest.checked(path, read(path))) bytes += part.length;
    } catch (error) {
      throw readError(error, path, what, call);
    }
  }
  await rm(join(folder, manifestPath));
  return { files: manifest.paths.length, bytes };
}

/** A relative path with `/` between its segments, wherever it was made: a snapshot may be restored on another system. */
export function portablePath(path: string, separator: string = sep): string {
  // Elsewhere than on Windows, a backslash is a letter of a name.
  return separator === '/' ? path : path.replaceAll(separator, '/');
}

async function textOf(from: Pick<SnapshotReader, 'read'>, what: string, call: Call): Promise<string> {
  const parts: Uint8Array[] = [];
  const seen = { bytes: 0, crc32: 0 };
  try {
    for await (const part of noted(from.read(manifestPath), seen, call)) {
      if (seen.bytes > mostManifestBytes) throw notWhole(what, `${manifestPath} is longer than any`);
      parts.push(part);
    }
  } catch (error) {
    throw readError(error, manifestPath, what, call);
  }
  return Buffer.concat(parts).toString('utf8');
}

function filesOf(text: string, what: string): ReadonlyMap<string, SavedFile> {
  let manifest: { readonly version?: unknown; readonly files?: unknown } | null;
  try {
    manifest = JSON.parse(text) as typeof manifest;
  } catch {
    throw notWhole(what, `${manifestPath} is damaged`);
  }
  if (manifest?.version !== 1) throw notWhole(what, `${manifestPath} is of another version`);
  if (typeof manifest.files !== 'object' || manifest.files === null) throw notWhole(what, `${manifestPath} is damaged`);
  const files = new Map(Object.entries(manifest.files) as [string, Partial<SavedFile> | null][]);
  for (const [path, saved] of files) {
    const isInside = !portablePath(path)
      .split('/')
      .some((segment) => ['', '.', '..'].includes(segment));
    if (isInside && typeof saved?.bytes === 'number' && typeof saved.crc32 === 'number') continue;
    throw notWhole(what, `${manifestPath} is damaged`);
  }
  return files as ReadonlyMap<string, SavedFile>;
}

async function* noted(
  body: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  seen: { bytes: number; crc32: number },
  call: Call,
): AsyncGenerator<Uint8Array, void> {
  for await (const part of body) {
    call.signal.throwIfAborted();
    seen.bytes += part.length;
    seen.crc32 = crc32(part, seen.crc32);
    yield part;
  }
}

/** What went wrong while a file was read, from a folder or from a snapshot. */
function readError(error: unknown, path: string, what: string, call: Call): unknown {
  const code = codeOf(error);
  if (code === 'ENOENT' || code === 'MNOPS_CORE_NOT_FOUND') return notWhole(what, `${path} is missing`);
  return MnopsError.is(error) || call.signal.aborted ? error : storageError('read', path, error);
}

function notWhole(what: string, why: string): MnopsError {
  return coreError('MNOPS_CORE_STORAGE_UNREADABLE', `The snapshot of ${what} is not whole: ${why}.`, {
    remedy: 'Restore from another snapshot.',
  });
}
