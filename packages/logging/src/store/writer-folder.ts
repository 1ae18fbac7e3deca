import { randomBytes } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { codeOf, storageError } from '@mnops/core';
import { acquireFileLock, ensureFolder, type FileLock } from '@mnops/core/files';

/** A writer's folder that this process holds. */
export interface ClaimedFolder {
  readonly writer: string;
  readonly folder: string;
  readonly lock: FileLock;
}

/** The numbered files of one writer. */
export interface WriterFiles {
  /** Numbers of sealed blocks, in order. */
  readonly blocks: readonly number[];
  /** Numbers of open logs that no block replaces yet, in order. */
  readonly opens: readonly number[];
  /** Open logs that a block has replaced; a crash left them. */
  readonly replaced: readonly number[];
}

/** The folder that holds the folders of all writers. */
export function writersFolder(store: string): string {
  return join(store, 'writers');
}

/** Path of a sealed block. */
export function blockFile(folder: string, number: number): string {
  return join(folder, `block-${String(number).padStart(8, '0')}.block`);
}

/** Path of an open log. */
export function openFile(folder: string, number: number): string {
  return join(folder, `open-${String(number).padStart(8, '0')}.log`);
}

/** Path of the log of checkpoints. */
export function checkpointFile(folder: string): string {
  return join(folder, 'checkpoints.log');
}

/** Takes the folder of a writer that has ended, else a new one: there are as many as processes wrote at the same time. */
export async function claimWriterFolder(store: string): Promise<ClaimedFolder> {
  const parent = writersFolder(store);
  await ensureFolder(parent);
  for (const writer of await listWriters(store)) {
    const claimed = await tryClaim(join(parent, writer), writer);
    if (claimed !== undefined) return claimed;
  }
  const writer = randomBytes(5).toString('hex');
  const folder = join(parent, writer);
  await ensureFolder(folder);
  const lock = await acquireFileLock(join(folder, 'lock'), { purpose: 'log writer' });
  return { writer, folder, lock };
}

async function tryClaim(folder: string, writer: string): Promise<ClaimedFolder | undefined> {
  try {
    const lock = await acquireFileLock(join(folder, 'lock'), { purpose: 'log writer' });
    return { writer, folder, lock };
  } catch (error) {
    if (codeOf(error) === 'MNOPS_CORE_LOCKED') return undefined;
    throw error;
  }
}

/** Names of all writers of a store; empty when there is none yet. */
export async function listWriters(store: string): Promise<string[]> {
  const names = await list(writersFolder(store));
  return names.filter((name) => /^[0-9a-f]{10}$/.test(name)).sort();
}

/** The files of one writer. */
export async function listFiles(folder: string): Promise<WriterFiles> {
  const names = await list(folder);
  const numbers = (pattern: RegExp): number[] =>
    names.flatMap((name) => {
      const found = pattern.exec(name);
      return found === null ? [] : [Number(found[1])];
    });
  const blocks = numbers(/^block-(\d{8,})\.block$/).sort((a, b) => a - b);
  const logs = numbers(/^open-(\d{8,})\.log$/).sort((a, b) => a - b);
  return {
    blocks,
    opens: logs.filter((number) => !blocks.includes(number)),
    replaced: logs.filter((number) => blocks.includes(number)),
  };
}

async function list(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return [];
    throw storageError('read', folder, error);
  }
}
