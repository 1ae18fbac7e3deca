import { createReadStream } from 'node:fs';
import { readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { codeOf, coreError, MnopsError, storageError } from '@mnops/core';
import { ensureFolder } from '@mnops/core/files';
import type { Call, Recoverable, RecoveryFinding, RestoreTarget, SnapshotSink } from '@mnops/core/spi';
import { listNumbers, numbersFile, readNumbers } from '../disk/numbers-file.js';
import { inspectSegment, listSegments } from '../disk/trace-segments.js';
import { recoverableIdentity } from './recoverable-identity.js';

/** What the host offers to the recovery of its folder. */
export interface RecoverableHost {
  /** `undefined` without one. */
  readonly folder: string | undefined;
  /** What is known now is on disk. */
  readonly flush: () => Promise<void>;
  /** Epoch milliseconds of the last span, where known. */
  readonly lastChangeMs: () => number | undefined;
}

interface Manifest {
  readonly version: 1;
  readonly files: Readonly<Record<string, { readonly bytes: number; readonly crc32: number }>>;
}

const manifestName = 'manifest.json';
const savedPath = /^(traces\/[0-9a-z]{9}-[0-9a-z-]{1,64}\.trc|numbers\/[0-9a-z-]{1,64}\.num)$/;

/**
 * Saves and brings back traces, baselines and map of a folder. Spans that wait for a back end are left out: whoever made
 * them delivers them, and a restored copy would deliver them again.
 */
export function folderRecoverable(host: RecoverableHost): Recoverable {
  const placeOf = (at: RestoreTarget): string => {
    if ('folder' in at) return at.folder;
    if (host.folder !== undefined) return host.folder;
    throw coreError('MNOPS_CORE_UNSUPPORTED', 'There is nothing on disk: traces and baselines are in memory.', {
      remedy: 'Give the manager a `folder`.',
    });
  };
  return {
    ...recoverableIdentity,
    async snapshot(sink, call) {
      call.signal.throwIfAborted();
      const folder = placeOf({ inPlace: true });
      await host.flush();
      await save(folder, sink, call);
      return { lastChangeMs: host.lastChangeMs() };
    },
    async restore(from, to, call) {
      call.signal.throwIfAborted();
      if (!('folder' in to)) {
        throw coreError('MNOPS_CORE_UNSUPPORTED', 'Traces and baselines are not restored under a running manager.', {
          remedy: 'Restore into a folder, and start a manager with that folder.',
        });
      }
      await ensureFolder(to.folder);
      await from.restoreTree(to.folder);
      const files = await checkRestored(to.folder, call);
      return { files: files.length, bytes: files.reduce((sum, { bytes }) => sum + bytes, 0) };
    },
    async verify(at, call) {
      if (!('folder' in at)) await host.flush();
      return await verifyFolder(placeOf(at), call);
    },
  };
}

/**
 * Writes every file as far as it reached when it was listed: another process may append meanwhile, or remove the oldest
 * file for room, which is no loss of the snapshot.
 */
async function save(folder: string, sink: SnapshotSink, call: Call): Promise<void> {
  const files: Record<string, { bytes: number; crc32: number }> = {};
  const add = async (path: string, bytes: number, body: AsyncIterable<Uint8Array>): Promise<void> => {
    call.signal.throwIfAborted();
    const seen = { bytes: 0, crc32: 0 };
    await sink.addStream({ path, size: bytes }, noted(body, seen));
    files[path] = seen;
  };
  // Numbers are replaced as a whole, so that a file is read at once or it changes under the reader.
  for (const id of await listNumbers(join(folder, 'numbers'))) {
    const content = await readFile(numbersFile(join(folder, 'numbers'), id)).catch(absent);
    if (content !== undefined) await add(`numbers/${id}.num`, content.length, once(content));
  }
  for (const { file, name, bytes } of await listSegments(join(folder, 'traces'))) {
    if (bytes === 0 || (await stat(file).catch(absent)) === undefined) continue;
    await add(`traces/${name}`, bytes, createReadStream(file, { end: bytes - 1 }) as AsyncIterable<Uint8Array>);
  }
  const manifest = Buffer.from(JSON.stringify({ version: 1, files } satisfies Manifest));
  await sink.addStream({ path: manifestName, size: manifest.length }, once(manifest));
}

/** Checks what was restored against the manifest, and takes the manifest away. */
async function checkRestored(folder: string, call: Call): Promise<{ readonly bytes: number }[]> {
  const manifest = await readManifest(folder);
  const checked: { readonly bytes: number }[] = [];
  for (const [path, expected] of Object.entries(manifest.files)) {
    call.signal.throwIfAborted();
    if (!savedPath.test(path)) throw incomplete('it names a file that is none of a snapshot');
    const seen = { bytes: 0, crc32: 0 };
    try {
      for await (const _ of noted(createReadStream(join(folder, path)) as AsyncIterable<Uint8Array>, seen));
    } catch (error) {
      if (codeOf(error) === 'ENOENT') throw incomplete(`${path} is missing`);
      throw storageError('read', join(folder, path), error);
    }
    if (seen.bytes !== expected.bytes || seen.crc32 !== expected.crc32) throw incomplete(`${path} differs`);
    checked.push(seen);
  }
  await rm(join(folder, manifestName));
  return checked;
}

async function readManifest(folder: string): Promise<Manifest> {
  try {
    const manifest = JSON.parse(await readFile(join(folder, manifestName), 'utf8')) as Manifest;
    if (manifest?.version === 1 && typeof manifest.files === 'object' && manifest.files !== null) return manifest;
    throw incomplete(`${manifestName} is of another version`);
  } catch (error) {
    if (error instanceof SyntaxError) throw incomplete(`${manifestName} is damaged`);
    if (codeOf(error) === 'ENOENT') throw incomplete(`${manifestName} is missing`);
    throw MnopsError.is(error) ? error : storageError('read', join(folder, manifestName), error);
  }
}

async function verifyFolder(folder: string, call: Call): Promise<readonly RecoveryFinding[]> {
  const findings: RecoveryFinding[] = [];
  const found = (path: string, offset: number, records: number): void => {
    findings.push({ path, severity: 'error', message: `Damaged at byte ${offset}: ${records} records are lost.` });
  };
  if ((await readdir(folder).catch(absent)) === undefined) {
    return [{ path: '.', severity: 'error', message: 'The folder does not exist.' }];
  }
  for (const { file, name } of await listSegments(join(folder, 'traces'))) {
    call.signal.throwIfAborted();
    for (const { offset, records } of await inspectSegment(file)) found(`traces/${name}`, offset, records);
  }
  for (const id of await listNumbers(join(folder, 'numbers'))) {
    call.signal.throwIfAborted();
    const path = `numbers/${id}.num`;
    try {
      const { damage } = await readNumbers(join(folder, 'numbers'), id);
      for (const { offset, records } of damage) found(path, offset, records);
    } catch {
      findings.push({ path, severity: 'error', message: 'The file cannot be read.' });
    }
  }
  return findings;
}

async function* noted(
  body: AsyncIterable<Uint8Array>,
  seen: { bytes: number; crc32: number },
): AsyncGenerator<Uint8Array> {
  for await (const part of body) {
    seen.bytes += part.length;
    seen.crc32 = crc32(part, seen.crc32);
    yield part;
  }
}

async function* once(bytes: Buffer): AsyncGenerator<Uint8Array> {
  yield bytes;
}

function absent(error: unknown): undefined {
  if (codeOf(error) !== 'ENOENT') throw error;
}

function incomplete(why: string): MnopsError {
  return coreError('MNOPS_CORE_STORAGE_UNREADABLE', `The snapshot of traces and baselines is not whole: ${why}.`, {
    remedy: 'Restore from another snapshot.',
  });
}
