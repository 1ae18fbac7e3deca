import { hostname } from 'node:os';
import { processIdentity } from '@mnops/core/files';
import { fakeClock } from '@mnops/core/testing';
import { describe, expect, it } from 'vitest';
import { type LockContent, type LockFiles, lockRefreshMs, lockRepository } from './lock.js';

function lockFiles(): LockFiles & { readonly held: Map<string, LockContent> } {
  const held = new Map<string, LockContent>();
  let next = 0;
  return {
    held,
    list: () => [...held.keys()],
    read: (id) => held.get(id),
    write: async (content) => {
      next += 1;
      held.set(`lock-${next}`, content);
      return `lock-${next}`;
    },
    remove: async (id) => void held.delete(id),
  };
}

const foreign = { time: new Date(0).toISOString(), exclusive: false, hostname: 'elsewhere', username: 'x', pid: 1 };
const hasty = { ...fakeClock(), sleep: async () => undefined };
const { signal } = new AbortController();

describe('lockRepository', () => {
  it('stands beside other shared locks and is released', async () => {
    const files = lockFiles();
    files.held.set('other', foreign);
    const lock = await lockRepository(files, hasty, signal);
    expect(files.held.size).toBe(2);
    await lock.release();
    expect([...files.held.keys()]).toEqual(['other']);
  });

  it('gives way to an exclusive lock, also to one that comes at the same moment', async () => {
    const files = lockFiles();
    files.held.set('other', { ...foreign, exclusive: true });
    await expect(lockRepository(files, hasty, signal)).rejects.toMatchObject({
      code: 'MNOPS_DR_REPOSITORY_LOCKED',
      details: { owner: { hostname: 'elsewhere', pid: 1 } },
    });
    files.held.clear();
    const late = {
      ...hasty,
      sleep: async () => {
        files.held.set('late', { ...foreign, exclusive: true });
      },
    };
    await expect(lockRepository(files, late, signal)).rejects.toMatchObject({ code: 'MNOPS_DR_REPOSITORY_LOCKED' });
    expect([...files.held.keys()]).toEqual(['late']);
  });

  it('is renewed, so that nobody takes it for stale', async () => {
    const files = lockFiles();
    const clock = fakeClock();
    const locking = lockRepository(files, clock, signal);
    await clock.advance(200);
    while (files.held.size === 0) await clock.advance(200);
    await clock.advance(200);
    const lock = await locking;
    const [before] = files.held.keys();
    await clock.advance(lockRefreshMs);
    await clock.advance(1);
    expect(files.held.size).toBe(1);
    expect([...files.held.keys()]).not.toEqual([before]);
    await lock.release();
    expect(files.held.size).toBe(0);
  });

  it('removes only locks whose holder is provably dead', async () => {
    const files = lockFiles();
    const first = await lockRepository(files, hasty, signal);
    const [own] = [...files.held.values()];
    const self = await processIdentity();
    await first.release();
    const ours = own?.mnops;
    if (ours === undefined || self === undefined) throw new Error('the lock does not say whose it is');
    const dead = { ...foreign, hostname: hostname(), mnops: { ...ours, startTime: 'another' } };
    files.held.set('dead', { ...dead, pid: process.pid });
    files.held.set('alive', { ...dead, pid: process.pid, mnops: ours });
    files.held.set('elsewhere', { ...dead, hostname: 'elsewhere' });
    files.held.set('other namespace', { ...dead, mnops: { ...ours, namespace: 'pid:[1]' } });
    files.held.set('of restic', { ...foreign, hostname: hostname(), pid: 999_999 });
    const lock = await lockRepository(files, hasty, signal);
    await lock.release();
    expect([...files.held.keys()]).toEqual(['alive', 'elsewhere', 'other namespace', 'of restic']);
  });
});
