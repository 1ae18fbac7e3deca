import { closeSync, copyFileSync, fstatSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';
import { open, readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { storageError } from '@mnops/core';
import { ensureFolder, writeFileAtomic } from '@mnops/core/files';
import type { ServiceIdentity } from '@mnops/core/spi';

/** The two outputs of an instance. */
export type LogChannel = 'stdout' | 'stderr';

/** A stretch of one output: bytes from `start` on, counted since the instance was first started. */
export interface LogPart {
  readonly file: string;
  readonly start: number;
}

/** Folder of an instance's output. */
export function logFolder(root: string, service: string, instance: string): string {
  return join(root, 'logs', service, instance);
}

export function logFile(folder: string, channel: LogChannel): string {
  return join(folder, `${channel}.log`);
}

const identityFile = 'identity.json';

/** Makes the folder and writes down whose output it holds. */
export async function prepareLogs(folder: string, identity: ServiceIdentity): Promise<void> {
  await ensureFolder(folder);
  await writeFileAtomic(join(folder, identityFile), JSON.stringify(identity));
}

export async function readIdentity(folder: string): Promise<ServiceIdentity | undefined> {
  try {
    return JSON.parse(await readFile(join(folder, identityFile), 'utf8')) as ServiceIdentity;
  } catch {
    return undefined;
  }
}

/**
 * The parts of an output from the oldest that is kept to the newest. A rotated part is named after the position of its first
 * byte, so positions stay true over rotations and restarts.
 */
export async function logParts(folder: string, channel: LogChannel): Promise<readonly LogPart[]> {
  const rotated: LogPart[] = [];
  let end = 0;
  for (const name of await readdir(folder).catch(() => [])) {
    const start = new RegExp(`^${channel}\\.(\\d{16})\\.log$`).exec(name)?.[1];
    if (start === undefined) continue;
    const file = join(folder, name);
    rotated.push({ file, start: Number(start) });
    const size = await stat(file).then(
      (found) => found.size,
      () => 0,
    );
    end = Math.max(end, Number(start) + size);
  }
  rotated.sort((left, right) => left.start - right.start);
  return [...rotated, { file: logFile(folder, channel), start: end }];
}

/**
 * Copies an output away and empties it when it is over `maxBytes`; keeps the newest `keep` copies. The process keeps writing
 * into the same file: it appends, so it goes on at the beginning. Between the last read and the emptying there is no other
 * step, but a line that is written in exactly that moment is lost.
 */
export async function rotateLog(folder: string, channel: LogChannel, maxBytes: number, keep: number): Promise<void> {
  const file = logFile(folder, channel);
  const size = await stat(file).then(
    (found) => found.size,
    () => 0,
  );
  if (size <= maxBytes) return;
  const parts = await logParts(folder, channel);
  const start = parts.at(-1)?.start ?? 0;
  const copy = join(folder, `${channel}.${String(start).padStart(16, '0')}.log`);
  try {
    copyFileSync(file, copy);
    appendRest(file, copy);
  } catch (error) {
    throw storageError('rotate', file, error);
  }
  for (const { file: old } of parts.slice(0, -1).slice(0, Math.max(0, parts.length - keep)))
    await rm(old, { force: true });
}

function appendRest(file: string, copy: string): void {
  const from = openSync(file, 'r+');
  const to = openSync(copy, 'a');
  try {
    let position = fstatSync(to).size;
    const buffer = Buffer.alloc(65_536);
    for (let read = readSync(from, buffer, 0, buffer.length, position); read > 0; ) {
      writeSync(to, buffer, 0, read);
      position += read;
      read = readSync(from, buffer, 0, buffer.length, position);
    }
    ftruncateSync(from, 0);
  } finally {
    closeSync(from);
    closeSync(to);
  }
}

const tailBytes = 16_384;

/** The last lines of both outputs, those of stderr last; at most `count`. */
export async function lastLines(folder: string, count: number): Promise<readonly string[]> {
  const lines: string[] = [];
  for (const channel of ['stdout', 'stderr'] as const) lines.push(...(await tail(logFile(folder, channel), count)));
  return lines.slice(-count);
}

async function tail(file: string, count: number): Promise<readonly string[]> {
  const handle = await open(file, 'r').catch(() => undefined);
  if (handle === undefined) return [];
  try {
    const { size } = await handle.stat();
    const bytes = Buffer.alloc(Math.min(size, tailBytes));
    const { bytesRead } = await handle.read(bytes, 0, bytes.length, size - bytes.length);
    const lines = bytes.toString('utf8', 0, bytesRead).split('\n');
    if (size > tailBytes) lines.shift();
    return lines.filter((line) => line.trim() !== '').slice(-count);
  } finally {
    await handle.close();
  }
}

/** Removes the output of instances that ended, but for the newest `keep` of a service. */
export async function pruneLogs(
  root: string,
  service: string,
  living: ReadonlySet<string>,
  keep: number,
): Promise<void> {
  const folder = join(root, 'logs', service);
  const ended: { readonly path: string; readonly changedMs: number }[] = [];
  for (const instance of await readdir(folder).catch(() => [])) {
    if (living.has(instance)) continue;
    const path = join(folder, instance);
    const changedMs = await stat(path).then(
      ({ mtimeMs }) => mtimeMs,
      () => 0,
    );
    ended.push({ path, changedMs });
  }
  ended.sort((left, right) => right.changedMs - left.changedMs);
  for (const { path } of ended.slice(keep)) await rm(path, { recursive: true, force: true });
}
