import { readlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import { type ProcessIdentity, processIdentity } from '@mnops/core/files';
import type { Clock } from '@mnops/core/spi';
import { drError } from '../codes.js';
import { userName } from './identity.js';

/** How often a held lock is written anew, as restic does; it takes one for stale after 30 minutes. */
export const lockRefreshMs = 300_000;
/** How long to wait before looking again: two programs that began together then see each other. */
const settleMs = 200;

/** What a lock file says. `mnops` is ours: it lets a later process prove that the holder is dead. */
export interface LockContent {
  readonly time: string;
  readonly exclusive: boolean;
  readonly hostname: string;
  readonly username: string;
  readonly pid: number;
  readonly mnops?: (ProcessIdentity & { readonly namespace: string }) | undefined;
}

/** The lock files of a repository. */
export interface LockFiles {
  list(): string[];
  /** `undefined` when the file went away or is damaged. */
  read(id: string): LockContent | undefined;
  write(content: LockContent): Promise<string>;
  remove(id: string): Promise<void>;
}

/** A shared lock: it keeps other programs from deleting data meanwhile. */
export interface RepositoryLock {
  release(): Promise<void>;
}

/**
 * Holds a lock as restic's, beside other shared ones.
 *
 * Locks that dead processes of this machine left behind are removed when that is provable; others never are.
 *
 * @throws {MnopsError} `MNOPS_DR_REPOSITORY_LOCKED` when another program holds the repository for itself.
 */
export async function lockRepository(files: LockFiles, clock: Clock, signal: AbortSignal): Promise<RepositoryLock> {
  const self = await processIdentity();
  const namespace = pidNamespace();
  const content = (): LockContent => ({
    time: new Date(clock.now()).toISOString(),
    exclusive: false,
    hostname: hostname(),
    username: userName(),
    pid: process.pid,
    mnops: self === undefined ? undefined : { ...self, namespace },
  });
  await removeDead(files, namespace);
  refuseExclusive(files);
  let id = await files.write(content());
  try {
    await clock.sleep(settleMs, signal);
    refuseExclusive(files);
  } catch (error) {
    await files.remove(id);
    throw error;
  }
  let refreshing: Promise<void> = Promise.resolve();
  let timer = clock.setTimer(lockRefreshMs, refresh);
  function refresh(): void {
    refreshing = (async () => {
      const before = id;
      id = await files.write(content());
      await files.remove(before);
    })().catch(() => undefined); // the old lock stands; the next refresh tries again
    timer = clock.setTimer(lockRefreshMs, refresh);
  }
  return {
    async release() {
      timer.cancel();
      await refreshing;
      await files.remove(id);
    },
  };
}

function refuseExclusive(files: LockFiles): void {
  for (const id of files.list()) {
    const lock = files.read(id);
    if (lock?.exclusive !== true) continue;
    const owner = { hostname: lock.hostname, username: lock.username, pid: lock.pid, since: lock.time };
    throw drError(
      'MNOPS_DR_REPOSITORY_LOCKED',
      `Process ${lock.pid} on ${lock.hostname} holds the repository for itself.`,
      {
        details: { lock: id, owner },
      },
    );
  }
}

async function removeDead(files: LockFiles, namespace: string): Promise<void> {
  for (const id of files.list()) {
    const lock = files.read(id);
    if (lock?.mnops === undefined || lock.hostname !== hostname() || lock.mnops.namespace !== namespace) continue;
    const alive = await processIdentity(lock.pid);
    const same = alive?.startTime === lock.mnops.startTime && alive.bootId === lock.mnops.bootId;
    if (!same) await files.remove(id);
  }
}

/** Process numbers mean nothing across namespaces; empty where the system does not say. */
function pidNamespace(): string {
  try {
    return readlinkSync('/proc/self/ns/pid');
  } catch {
    return '';
  }
}
