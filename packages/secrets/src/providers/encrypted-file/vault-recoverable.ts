import { createReadStream, createWriteStream } from 'node:fs';
import { open, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { coreError, systemClock } from '@mnops/core';
import { ensureFolder } from '@mnops/core/files';
import type { Call, Recoverable, RecoveryFinding, RestoreTarget, SnapshotReader } from '@mnops/core/spi';
import { VaultFile } from './vault-file.js';

/** Name of the vault inside a snapshot. */
const snapshotPath = 'secrets.vault';

/** Saves, restores and checks a vault file. What leaves it is as encrypted as the file itself, and needs the same key. */
export function vaultRecoverable(vault: VaultFile): Recoverable {
  return {
    specVersion: 1,
    kind: 'recoverable',
    id: 'secrets-vault',
    capabilities: { pointInTime: 'snapshot', isolatedRestore: true, inPlace: true },
    async snapshot(sink, call) {
      // The file only grows, and a rewrite leaves an opened one alone: a copy up to its size of now is consistent.
      const { handle, size, ...summary } = await vault.exclusively(call, async (log) => {
        await log.sync();
        const opened = await open(vault.file, 'r');
        return { handle: opened, size: log.sizeBytes, lastChangeMs: vault.lastChangeMs, position: vault.position };
      });
      try {
        const body = createReadStream('', { fd: handle, start: 0, end: size - 1, autoClose: false });
        await sink.addStream({ path: snapshotPath, size, mode: 0o600 }, body);
      } finally {
        await handle.close();
      }
      return summary;
    },
    async restore(from, to, call) {
      if (!('folder' in to)) return await restoreInPlace(vault, from, call);
      await ensureFolder(to.folder);
      const file = join(to.folder, snapshotPath);
      const bytes = await writeSnapshot(from, `${file}.restoring`, call);
      await assertWhole(vault, `${file}.restoring`, call);
      await putInPlace(`${file}.restoring`, file);
      return { files: 1, bytes };
    },
    verify: (at, call) => verifyAt(vault, at, call),
  };
}

async function restoreInPlace(
  vault: VaultFile,
  from: SnapshotReader,
  call: Call,
): Promise<{ readonly files: number; readonly bytes: number }> {
  await ensureFolder(dirname(vault.file));
  const temporary = `${vault.file}.restoring`;
  const bytes = await writeSnapshot(from, temporary, call);
  await assertWhole(vault, temporary, call);
  await vault.takeOver(call, () => putInPlace(temporary, vault.file));
  return { files: 1, bytes };
}

async function writeSnapshot(from: SnapshotReader, file: string, call: Call): Promise<number> {
  await rm(file, { force: true });
  await pipeline(from.read(snapshotPath), createWriteStream(file, { mode: 0o600, flags: 'wx' }), {
    signal: call.signal,
  });
  return (await stat(file)).size;
}

/** A restore brings everything back or nothing: a copy that is damaged never takes a place. */
async function assertWhole(vault: VaultFile, file: string, call: Call): Promise<void> {
  const findings = await inspect(vault, file, call);
  if (findings.length === 0) return;
  await rm(file, { force: true });
  throw coreError('MNOPS_CORE_INTEGRITY', `The snapshot of the vault is damaged: ${findings[0]?.message}`, {
    operation: 'restore',
    details: { findings },
  });
}

async function putInPlace(temporary: string, file: string): Promise<void> {
  const handle = await open(temporary, 'r+');
  await handle.sync();
  await handle.close();
  await rename(temporary, file);
  const folder = await open(dirname(file), 'r');
  await folder.sync().catch(() => undefined);
  await folder.close();
}

async function verifyAt(vault: VaultFile, at: RestoreTarget, call: Call): Promise<readonly RecoveryFinding[]> {
  const file = 'folder' in at ? join(at.folder, snapshotPath) : vault.file;
  try {
    await stat(file);
  } catch {
    return [{ path: basename(file), severity: 'error', message: `There is no vault ${file}.` }];
  }
  return await inspect(vault, file, call);
}

/** Opens every value of a file with the vault's key. */
async function inspect(vault: VaultFile, file: string, call: Call): Promise<readonly RecoveryFinding[]> {
  const copy = new VaultFile({ file, key: vault.key, clock: systemClock(), onChange: () => undefined });
  try {
    const { damage, unreadable } = await copy.verify(call);
    return [
      ...damage.map(({ offset, records, remedy }): RecoveryFinding => {
        const message = `${records} records are lost at byte ${offset}. ${remedy}`;
        return { path: basename(file), severity: records > 0 ? 'error' : 'warning', message };
      }),
      ...unreadable.map(({ path, version, code }): RecoveryFinding => {
        return { path, severity: 'error', message: `Version ${version} cannot be opened: ${code}.` };
      }),
    ];
  } catch (error) {
    const message = error instanceof Error ? error.message : 'It cannot be opened.';
    return [{ path: basename(file), severity: 'error', message }];
  } finally {
    await copy.close();
  }
}
