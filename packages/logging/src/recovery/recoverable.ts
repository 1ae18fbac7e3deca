import { createReadStream } from 'node:fs';
import { mkdtemp, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { codeOf, coreError, MnopsError, storageError } from '@mnops/core';
import { ensureFolder } from '@mnops/core/files';
import { checkRestored, type ManifestSink, manifestSink } from '@mnops/core/recovery';
import type {
  Call,
  Recoverable,
  RecoveryFinding,
  RestoreSummary,
  RestoreTarget,
  SnapshotReader,
} from '@mnops/core/spi';
import { blockFile, checkpointFile, listFiles, listWriters, openFile, writersFolder } from '../store/writer-folder.js';
import { verifyStore } from './verify-store.js';

/** What a snapshot is of, in its errors. */
const snapshotOf = 'the log store';

/** What the host offers to the recovery of its store. */
export interface RecoverableHost {
  /** The store's folder; `undefined` without one. */
  readonly folder: string | undefined;
  /** What was written before is on disk. */
  flush(): Promise<void>;
  /** Runs a function while this process does not have the store open, and opens it again. */
  withoutStore<T>(run: () => Promise<T>): Promise<T>;
  lastWriteMs(): number | undefined;
}

/** Makes the recoverable of a log store: sealed blocks, open logs and checkpoints of all writers. */
export function logRecoverable(host: RecoverableHost): Recoverable {
  const folderOf = (): string => {
    if (host.folder !== undefined) return host.folder;
    throw coreError('MNOPS_CORE_UNSUPPORTED', 'There is nothing to back up: the log store is in memory.', {
      remedy: 'Give the manager a `folder`.',
    });
  };
  const placeOf = (at: RestoreTarget): string => ('folder' in at ? at.folder : folderOf());
  return {
    specVersion: 1,
    kind: 'recoverable',
    id: 'logging',
    capabilities: { pointInTime: 'snapshot', isolatedRestore: true, inPlace: true },
    async snapshot(sink, call) {
      call.signal.throwIfAborted();
      const folder = folderOf();
      await host.flush();
      const noting = manifestSink(sink, call);
      for (const writer of await listWriters(folder)) await snapshotWriter(folder, writer, noting, call);
      await noting.finish();
      return { lastChangeMs: host.lastWriteMs() };
    },
    async restore(from, to, call) {
      call.signal.throwIfAborted();
      if ('folder' in to) {
        await ensureFolder(to.folder);
        await from.restoreTree(to.folder);
        return await checkRestored(to.folder, snapshotOf, call);
      }
      const folder = folderOf();
      return await host.withoutStore(() => replace(folder, from, call));
    },
    async verify(at, call): Promise<readonly RecoveryFinding[]> {
      if (!('folder' in at)) await host.flush();
      return verifyStore(placeOf(at), call.signal);
    },
  };
}

/**
 * Saves one writer. Another process may seal an open log meanwhile: then everything of this writer is listed again, so
 * that each entry is in the snapshot once.
 */
async function snapshotWriter(store: string, writer: string, sink: ManifestSink, call: Call): Promise<void> {
  const folder = join(writersFolder(store), writer);
  const path = (file: string): string => `writers/${writer}${file.slice(folder.length)}`;
  for (let attempt = 1; ; attempt += 1) {
    call.signal.throwIfAborted();
    // Before the listing: what these checkpoints speak of is sealed already, so the listing shows it.
    const checkpoints = await readFile(checkpointFile(folder)).catch(() => undefined);
    const files = await listFiles(folder);
    const opens: { readonly file: string; readonly bytes: Buffer }[] = [];
    try {
      for (const number of files.opens) {
        const file = openFile(folder, number);
        opens.push({ file, bytes: await readFile(file) });
      }
    } catch (error) {
      if (codeOf(error) === 'ENOENT' && attempt < 5) continue;
      throw storageError('read', folder, error);
    }
    if (checkpoints !== undefined) await sink.add({ path: path(checkpointFile(folder)) }, checkpoints);
    for (const { file, bytes } of opens) await sink.add({ path: path(file) }, bytes);
    for (const number of files.blocks) {
      const file = blockFile(folder, number);
      const { size, mtimeMs } = await stat(file);
      await sink.add({ path: path(file), size, modifiedMs: Math.floor(mtimeMs) }, createReadStream(file));
    }
    return;
  }
}

/** Puts a snapshot in the place of the live data: first whole and checked beside it, then exchanged. */
async function replace(folder: string, from: SnapshotReader, call: Call): Promise<RestoreSummary> {
  const beside = await mkdtemp(join(folder, 'restore-'));
  try {
    await from.restoreTree(beside);
    const summary = await checkRestored(beside, snapshotOf, call);
    const findings = await verifyStore(beside, new AbortController().signal);
    const wrong = findings.find(({ severity }) => severity === 'error');
    if (wrong !== undefined) {
      const message = `The snapshot does not hold a readable log store: ${wrong.message} (${wrong.path}).`;
      throw coreError('MNOPS_CORE_STORAGE_UNREADABLE', message, { remedy: 'Restore from an older snapshot.' });
    }
    const live = writersFolder(folder);
    const old = join(beside, 'replaced');
    await ensureFolder(writersFolder(beside));
    await rename(live, old).catch((error: unknown) => {
      if (codeOf(error) !== 'ENOENT') throw error;
    });
    await rename(writersFolder(beside), live);
    return summary;
  } catch (error) {
    throw MnopsError.is(error) || call.signal.aborted ? error : storageError('restore into', folder, error);
  } finally {
    await rm(beside, { recursive: true, force: true });
  }
}
