import { createReadStream } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { codeOf, coreError } from '@mnops/core';
import { ensureFolder } from '@mnops/core/files';
import { checkRestored, manifestSink } from '@mnops/core/recovery';
import type { Call, Recoverable, RecoveryFinding, RestoreTarget, SnapshotSink } from '@mnops/core/spi';
import { loadFiles, readLoad } from '../disk/load-file.js';
import { numbersFiles, readNumbers } from '../disk/numbers-file.js';
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
      return await checkRestored(to.folder, 'traces and baselines', call);
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
async function save(folder: string, to: SnapshotSink, call: Call): Promise<void> {
  const sink = manifestSink(to, call);
  // Numbers are replaced as a whole, so that a file is read at once or it changes under the reader.
  for (const id of (await numbersFiles.list(join(folder, 'numbers'))).whole) {
    const content = await readFile(numbersFiles.pathOf(join(folder, 'numbers'), id)).catch(absent);
    if (content !== undefined) await sink.add({ path: `numbers/${id}.num` }, content);
  }
  for (const id of (await loadFiles.list(join(folder, 'numbers'))).whole) {
    const content = await readFile(loadFiles.pathOf(join(folder, 'numbers'), id)).catch(absent);
    if (content !== undefined) await sink.add({ path: `numbers/${id}.load` }, content);
  }
  for (const { file, name, bytes } of await listSegments(join(folder, 'traces'))) {
    if (bytes === 0 || (await stat(file).catch(absent)) === undefined) continue;
    await sink.add({ path: `traces/${name}`, size: bytes }, createReadStream(file, { end: bytes - 1 }));
  }
  await sink.finish();
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
  const numbers = join(folder, 'numbers');
  const files = [
    ...(await numbersFiles.list(numbers)).whole.map((id) => ({
      path: `numbers/${id}.num`,
      read: () => readNumbers(numbers, id),
    })),
    ...(await loadFiles.list(numbers)).whole.map((id) => ({
      path: `numbers/${id}.load`,
      read: () => readLoad(numbers, id),
    })),
  ];
  for (const { path, read } of files) {
    call.signal.throwIfAborted();
    try {
      for (const { offset, records } of (await read()).damage) found(path, offset, records);
    } catch {
      findings.push({ path, severity: 'error', message: 'The file cannot be read.' });
    }
  }
  return findings;
}

function absent(error: unknown): undefined {
  if (codeOf(error) !== 'ENOENT') throw error;
}
