import { fstatSync, ftruncateSync, readSync, renameSync, writeSync } from 'node:fs';
import { type FileHandle, open, readdir, readFile, rm, stat } from 'node:fs/promises';
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
    const [, start, next] = new RegExp(`^${channel}\\.(\\d{16})(?:-(\\d{16}))?\\.log$`).exec(name) ?? [];
    if (start === undefined) continue;
    const file = join(folder, name);
    rotated.push({ file, start: Number(start) });
    const size = await stat(file).then(
      (found) => found.size,
      () => 0,
    );
    end = Math.max(end, Number(start) + size, Number(next ?? 0));
  }
  rotated.sort((left, right) => left.start - right.start);
  return [...rotated, { file: logFile(folder, channel), start: end }];
}

/**
 * Copies an output away and empties it when it is over `maxBytes`; keeps the newest `keep` copies. The process keeps writing
 * into the same file: it appends, so it goes on at the beginning. A line that is written in exactly the moment of the
 * emptying is lost; and of a process that writes faster than can be copied, what is ahead of the copy is cut.
 *
 * @param signal - Gives the copy up; the output stays as it is.
 * @returns How many bytes were cut. Positions count them, so a reader sees a gap and not other bytes in their place.
 */
export async function rotateLog(
  folder: string,
  channel: LogChannel,
  maxBytes: number,
  keep: number,
  signal?: AbortSignal,
): Promise<number> {
  const file = logFile(folder, channel);
  const size = await stat(file).then(
    (found) => found.size,
    () => 0,
  );
  if (size <= maxBytes) return 0;
  const parts = await logParts(folder, channel);
  const start = parts.at(-1)?.start ?? 0;
  // Not yet under the name of a part: a reader would take the end of a half copy for the start of the output.
  const copy = join(folder, `${channel}.copying`);
  let cut: number | undefined;
  try {
    cut = await moveAway(file, copy, (end, lost) => rotatedFile(folder, channel, start, start + end, lost), signal);
  } catch (error) {
    throw storageError('rotate', file, error);
  } finally {
    if (cut === undefined) await rm(copy, { force: true });
  }
  if (cut === undefined) return 0;
  for (const { file: old } of parts.slice(0, -1).slice(0, Math.max(0, parts.length - keep)))
    await rm(old, { force: true });
  return cut;
}

/** The name holds the first position, and where bytes were cut after the part also the position of the next one. */
function rotatedFile(folder: string, channel: LogChannel, start: number, end: number, cut: number): string {
  const digits = (position: number): string => String(position).padStart(16, '0');
  return join(folder, `${channel}.${digits(start)}${cut === 0 ? '' : `-${digits(end + cut)}`}.log`);
}

const chunkBytes = 262_144;
/** A file up to this size is freed in a few milliseconds. */
const quickBytes = 64 * 1_048_576;
const catchUpPasses = 3;
const catchUpBytes = 16 * 1_048_576;

/** Bytes that were cut, or `undefined` when the signal came first. */
async function moveAway(
  file: string,
  copy: string,
  nameOf: (end: number, cut: number) => string,
  signal: AbortSignal | undefined,
): Promise<number | undefined> {
  const from = await open(file, 'r+');
  try {
    const to = await open(copy, 'w', 0o600);
    try {
      let position = await copyRange(from, to, 0, (await from.stat()).size, signal);
      // A process may write as fast as this reads: without a bound the copy would never catch up.
      const limit = position + catchUpBytes;
      for (let pass = 0; pass < catchUpPasses; pass += 1) {
        const { size } = await from.stat();
        if (size <= position) break;
        position = await copyRange(from, to, position, Math.min(size, limit), signal);
      }
      if (signal?.aborted === true) return undefined;
      const rename = (end: number, cut: number): void => renameSync(copy, nameOf(end, cut));
      if ((await from.stat()).size <= quickBytes) return finish(from.fd, to.fd, position, rename);
      return await finishLarge(file, from, position, rename);
    } finally {
      await to.close();
    }
  } finally {
    await from.close();
  }
}

/** Copies in chunks, so that everything else goes on in between. Returns how far it came. */
async function copyRange(
  from: FileHandle,
  to: FileHandle,
  start: number,
  end: number,
  signal: AbortSignal | undefined,
): Promise<number> {
  const buffer = Buffer.allocUnsafe(chunkBytes);
  let position = start;
  while (position < end && signal?.aborted !== true) {
    const { bytesRead } = await from.read(buffer, 0, Math.min(buffer.length, end - position), position);
    if (bytesRead === 0) break;
    let written = 0;
    while (written < bytesRead) {
      written += (await to.write(buffer, written, bytesRead - written, position + written)).bytesWritten;
    }
    position += bytesRead;
  }
  return position;
}

/**
 * One last chunk, the name and the emptying. Without a pause in between, so that a process that writes now and then loses
 * nothing and a reader sees all of it or none.
 */
function finish(from: number, to: number, copied: number, rename: (end: number, cut: number) => void): number {
  const buffer = Buffer.allocUnsafe(chunkBytes);
  const read = readSync(from, buffer, 0, buffer.length, copied);
  let written = 0;
  while (written < read) written += writeSync(to, buffer, written, read - written, copied + written);
  const end = copied + read;
  const cut = Math.max(0, fstatSync(from).size - end);
  rename(end, cut);
  ftruncateSync(from, 0);
  return cut;
}

const emptying = new Set<string>();

/** Whether a large output is being emptied: its positions hold again only afterwards. */
export function isEmptying(folder: string, channel: LogChannel): boolean {
  return emptying.has(logFile(folder, channel));
}

/** As `finish`, for a file so large that the system needs long to free it: in the background, with readers held off. */
async function finishLarge(
  file: string,
  from: FileHandle,
  end: number,
  rename: (end: number, cut: number) => void,
): Promise<number> {
  emptying.add(file);
  try {
    const cut = Math.max(0, (await from.stat()).size - end);
    rename(end, cut);
    await from.truncate(0);
    return cut;
  } finally {
    emptying.delete(file);
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
