import { randomBytes } from 'node:crypto';
import { link, readFile, readlink, rename, stat, unlink, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { threadId } from 'node:worker_threads';
import { coreError, storageError } from '../errors/core-error.js';
import { codeOf } from '../errors/mnops-error.js';
import { lacksHardLinks } from './hard-links.js';
import { processIdentity } from './process-identity.js';

/** Who holds a lock. */
export interface LockOwner {
  readonly pid: number;
  readonly startTime: string;
  readonly bootId: string;
  /** Number of the thread in its process; 0 is the main one. */
  readonly thread: number;
  /** Name of the machine or container. */
  readonly host: string;
  /** Process number space: two containers on one machine count their processes apart. Empty where the system does not tell. */
  readonly namespace: string;
  /** What the holder said it needs the lock for. */
  readonly purpose: string;
  /** When it was taken, epoch milliseconds. */
  readonly sinceMs: number;
  /** One acquisition, never repeated. */
  readonly token: string;
}

/** A lock that this process holds. */
export interface FileLock {
  readonly path: string;
  readonly owner: LockOwner;
  /** Gives the lock up; a second call does nothing. */
  release(): Promise<void>;
}

/** What a lock is taken with. */
export interface FileLockOptions {
  /** Short text for whoever finds the lock held. Default empty. */
  readonly purpose?: string | undefined;
}

/**
 * An owner on another machine or in another container, or in a worker thread, cannot be looked up; it counts as dead once it has
 * not touched its file for so long.
 */
const foreignStaleMs = 60_000;
const touchEveryMs = 10_000;
/** A file without a readable owner is being written, or was left by a power cut. */
const unreadableStaleMs = 5_000;

/**
 * This process, and no other, holds the lock until it releases it or ends. A lock left by a dead process is taken over:
 * on the same machine at once, else after 60 s without a sign of life, as is one left by a worker thread.
 *
 * The lock is the file at `path`, which names its owner as JSON. The folder must exist.
 *
 * @throws {MnopsError} `MNOPS_CORE_LOCKED` with `details.owner` while a living process has it, this one included;
 * `MNOPS_CORE_STORAGE_FAILED`.
 */
export async function acquireFileLock(path: string, options: FileLockOptions = {}): Promise<FileLock> {
  const owner = await describeSelf(options.purpose ?? '');
  try {
    await take(path, owner);
  } catch (error) {
    if (codeOf(error) === 'MNOPS_CORE_LOCKED') throw error;
    throw storageError('lock', path, error);
  }
  const touch = setInterval(() => {
    const now = new Date();
    utimes(path, now, now).catch(() => undefined);
  }, touchEveryMs);
  touch.unref();
  let released: Promise<void> | undefined;
  const release = async (): Promise<void> => {
    clearInterval(touch);
    if ((await readOwner(path))?.token === owner.token) await remove(path);
  };
  return {
    path,
    owner,
    release: () => {
      released ??= release();
      return released;
    },
  };
}

async function describeSelf(purpose: string): Promise<LockOwner> {
  const self = (await processIdentity()) ?? { pid: process.pid, startTime: '', bootId: '' };
  const namespace = await readlink('/proc/self/ns/pid').catch(() => '');
  const token = randomBytes(12).toString('hex');
  return { ...self, thread: threadId, host: hostname(), namespace, purpose, sinceMs: Date.now(), token };
}

/**
 * The right to replace a dead owner's file is itself a file, named after that owner's token and made by `link`, which
 * only one process can do. Whoever made it checks that the dead owner is still the one in place: another process may
 * have finished the same takeover before. A process that dies in between leaves a claim that is inherited the same way.
 */
async function take(path: string, self: LockOwner): Promise<void> {
  const mine = `${path}.${self.token}`;
  await writeFile(mine, JSON.stringify(self), { mode: 0o600, flag: 'wx' });
  try {
    for (;;) {
      if (await linked(mine, path)) return;
      const root = await readOwner(path);
      if (root === undefined) continue;
      const claims: string[] = [];
      let holder = { ...root, file: path };
      for (;;) {
        const claim = `${path}.after-${holder.token}`;
        const next = await readOwner(claim);
        if (next === undefined) break;
        claims.push(claim);
        holder = { ...next, file: claim };
      }
      if (await isAlive(holder)) throw heldError(path, holder);
      const claim = `${path}.after-${holder.token}`;
      if (!(await linked(mine, claim))) continue;
      if ((await readOwner(path))?.token !== root.token) {
        await remove(claim);
        continue;
      }
      await rename(mine, path);
      for (const left of [...claims, claim]) await remove(left);
      return;
    }
  } finally {
    await remove(mine);
  }
}

function heldError(path: string, holder: OwnerFile): Error {
  const { file: _, modifiedMs: __, ...owner } = holder;
  const who = holder.pid === 0 ? 'a process that is writing its name' : `process ${holder.pid} on ${holder.host}`;
  return coreError('MNOPS_CORE_LOCKED', `${path} is held by ${who}.`, { details: { path, owner } });
}

type OwnerFile = LockOwner & { readonly file: string; readonly modifiedMs: number };

async function isAlive(owner: OwnerFile): Promise<boolean> {
  const age = Date.now() - owner.modifiedMs;
  if (owner.pid === 0) return age < unreadableStaleMs;
  const self = await describeSelf('');
  const sameSpace = owner.host === self.host && owner.namespace === self.namespace;
  if (owner.bootId !== self.bootId) return !sameSpace && age < foreignStaleMs;
  if (owner.namespace !== self.namespace) return age < foreignStaleMs;
  if (owner.bootId === '' && owner.host !== self.host) return age < foreignStaleMs;
  const found = await processIdentity(owner.pid);
  if (found === undefined || found.startTime !== owner.startTime) return false;
  // Its process lives on after a worker has ended. What an earlier version wrote says no thread.
  const isOther = owner.pid !== self.pid || owner.thread !== threadId;
  return (owner.thread ?? 0) === 0 || !isOther || age < foreignStaleMs;
}

async function readOwner(path: string): Promise<OwnerFile | undefined> {
  let modifiedMs: number;
  let text: string;
  try {
    modifiedMs = (await stat(path)).mtimeMs;
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const owner = JSON.parse(text) as LockOwner;
    if (typeof owner.token === 'string' && Number.isInteger(owner.pid)) return { ...owner, file: path, modifiedMs };
  } catch {
    // Falls through: a file without a readable owner.
  }
  const token = `unreadable-${Math.trunc(modifiedMs)}`;
  const nobody = {
    pid: 0,
    startTime: '',
    bootId: '',
    thread: 0,
    host: '',
    namespace: '',
    purpose: '',
    sinceMs: 0,
    token,
  };
  return { ...nobody, file: path, modifiedMs };
}

async function linked(existing: string, path: string): Promise<boolean> {
  try {
    await link(existing, path);
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    if (!lacksHardLinks(error)) throw error;
  }
  // A file system without hard links: exclusive creation, with a moment in which the owner cannot be read.
  try {
    await writeFile(path, await readFile(existing), { mode: 0o600, flag: 'wx' });
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw error;
  }
}

async function remove(path: string): Promise<void> {
  await unlink(path).catch((error: unknown) => {
    if (codeOf(error) !== 'ENOENT') throw storageError('remove', path, error);
  });
}
