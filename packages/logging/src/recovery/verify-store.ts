import { stat } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { codeOf, MnopsError, storageError } from '@mnops/core';
import type { RecoveryFinding } from '@mnops/core/spi';
import { readCheckpointLog } from '../store/checkpoints.js';
import { openSegment } from '../store/open-segment.js';
import { entriesOf } from '../store/payload.js';
import { isDamage, openBlock, readChunks } from '../store/read-block.js';
import { blockFile, checkpointFile, listFiles, listWriters, openFile, writersFolder } from '../store/writer-folder.js';

/** Reads every byte of a store and says what is wrong. An empty list means that all of it can be read. */
export async function verifyStore(folder: string, signal: AbortSignal): Promise<RecoveryFinding[]> {
  const findings: RecoveryFinding[] = [];
  try {
    await stat(folder);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw storageError('read', folder, error);
    return [{ path: '.', severity: 'error', message: 'The folder does not exist.' }];
  }
  const check = async (file: string, run: () => Promise<readonly string[]>): Promise<void> => {
    signal.throwIfAborted();
    const path = relative(folder, file);
    try {
      for (const message of await run()) findings.push({ path, severity: 'warning', message });
    } catch (error) {
      if (!MnopsError.is(error)) throw error;
      findings.push({ path, severity: 'error', message: error.message });
    }
  };
  for (const writer of await listWriters(folder)) {
    const writerFolder = join(writersFolder(folder), writer);
    const files = await listFiles(writerFolder);
    for (const number of files.blocks) {
      const file = blockFile(writerFolder, number);
      await check(file, () => checkBlock(file, writer));
    }
    for (const number of files.opens) {
      const file = openFile(writerFolder, number);
      await check(file, () => checkOpen(file, number));
    }
    const checkpoints = checkpointFile(writerFolder);
    const there = await stat(checkpoints).catch(() => undefined);
    if (there !== undefined) await check(checkpoints, () => readCheckpointLog(checkpoints).then(() => []));
  }
  return findings;
}

async function checkBlock(file: string, writer: string): Promise<readonly string[]> {
  const block = await openBlock(file);
  const found = block.damage.map(({ offset, records }) => damageText(offset, records));
  for await (const { rows } of readChunks(block, block.chunks, writer)) {
    if (isDamage(rows)) {
      found.push(damageText(rows.offset, rows.records));
      continue;
    }
    for (let row = 0; row < rows.count; row += 1) rows.entryAt(row);
  }
  return found;
}

async function checkOpen(file: string, number: number): Promise<readonly string[]> {
  const segment = await openSegment(file, number, true);
  try {
    for (const payload of segment.payloads) entriesOf(payload);
    return segment.damage.map(({ offset, records }) => damageText(offset, records));
  } finally {
    await segment.log.close();
  }
}

function damageText(offset: number, records: number): string {
  return records === 0
    ? `Damaged at byte ${offset}; nothing is lost.`
    : `Damaged at byte ${offset}; ${records} records are lost.`;
}
