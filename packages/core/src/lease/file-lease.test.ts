import { fork } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type FakeClock, fakeClock } from '../testing/fake-clock.js';
import { leaseContract } from '../testing/lease-contract.js';
import { eventually, testCall } from '../testing/test-call.js';
import { fileLease } from './file-lease.js';

const request = { ttlMs: 10_000, owner: 'test' };

leaseContract({ describe, it }, 'fileLease, a clock for tests', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'mnops-lease-'));
  const clock = fakeClock();
  return {
    provider: fileLease({ folder, clock }),
    rival: fileLease({ folder, clock }),
    wait: (ms) => clock.advance(ms),
    close: () => rm(folder, { recursive: true, force: true }),
  };
});

leaseContract(
  { describe, it },
  'fileLease, the clock of the machine',
  async () => {
    const folder = await mkdtemp(join(tmpdir(), 'mnops-lease-'));
    return {
      provider: fileLease({ folder }),
      rival: fileLease({ folder }),
      wait: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
      close: () => rm(folder, { recursive: true, force: true }),
    };
  },
  { ttlMs: 1_500 },
);

describe('fileLease', () => {
  let folder: string;
  let clock: FakeClock;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'mnops-lease-'));
    clock = fakeClock();
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  async function leaseFile(): Promise<string> {
    const name = (await readdir(folder)).find((file) => file.endsWith('.lease'));
    return join(folder, name ?? 'none');
  }

  it('makes its folder', async () => {
    const deep = join(folder, 'a', 'b');
    const held = await fileLease({ folder: deep, clock }).acquire('x', request, testCall());
    expect(held?.token).toBe(1n);
  });

  it('goes on counting tokens after a restart', async () => {
    const first = await fileLease({ folder, clock }).acquire('x', request, testCall());
    await first?.release(testCall());
    const second = await fileLease({ folder, clock }).acquire('x', request, testCall());
    expect(second?.token).toBe(2n);
  });

  it('lets a new process take over at once what ran out while nobody watched', async () => {
    await fileLease({ folder }).acquire('x', { ttlMs: 30, owner: 'dead' }, testCall());
    expect(await fileLease({ folder }).acquire('x', request, testCall())).toBeUndefined();
    await new Promise((resolve) => setTimeout(resolve, 40));
    const held = await fileLease({ folder }).acquire('x', request, testCall());
    expect(held?.token).toBe(2n);
    await held?.release(testCall());
  });

  it('decides nothing by the wall clock of others', async () => {
    const held = await fileLease({ folder, clock }).acquire('x', request, testCall());
    const rival = fakeClock({ nowMs: clock.now() + 365 * 86_400_000 });
    const other = fileLease({ folder, clock: rival });
    expect(await other.acquire('x', request, testCall())).toBeUndefined();
    rival.jumpWallClock(86_400_000);
    expect(await other.acquire('x', request, testCall())).toBeUndefined();
    await rival.advance(9_999);
    expect(await other.acquire('x', request, testCall())).toBeUndefined();
    await rival.advance(1);
    expect((await other.acquire('x', request, testCall()))?.token).toBe(2n);
    await expect(held?.renew(testCall())).rejects.toMatchObject({ code: 'MNOPS_CORE_CONFLICT' });
  });

  it('watches anew after each renewal that it sees', async () => {
    const held = await fileLease({ folder, clock }).acquire('x', request, testCall());
    const other = fileLease({ folder, clock });
    expect(await other.acquire('x', request, testCall())).toBeUndefined();
    await clock.advance(5_000);
    await held?.renew(testCall());
    await clock.advance(6_000);
    expect(await other.acquire('x', request, testCall())).toBeUndefined();
    await clock.advance(9_999);
    expect(await other.acquire('x', request, testCall())).toBeUndefined();
  });

  it('ends early after the machine slept, and not when the wall clock goes back', async () => {
    const held = await fileLease({ folder, clock }).acquire('x', request, testCall());
    clock.jumpWallClock(-60_000);
    await clock.advance(2_000);
    expect(held?.signal.aborted).toBe(false);
    clock.jumpWallClock(60_000);
    await clock.advance(1_000);
    expect(held?.signal.aborted).toBe(true);
    expect(held?.signal.reason).toMatchObject({ code: 'MNOPS_CORE_CONFLICT' });
  });

  it('keeps the margin that it is given', async () => {
    const held = await fileLease({ folder, clock, marginMs: 9_000 }).acquire('x', request, testCall());
    await clock.advance(999);
    expect(held?.signal.aborted).toBe(false);
    await clock.advance(1);
    expect(held?.signal.aborted).toBe(true);
  });

  it('reads its copy when the file is damaged at any byte, and never repeats a token', async () => {
    const lease = fileLease({ folder, clock });
    await (await lease.acquire('x', request, testCall()))?.release(testCall());
    const path = await leaseFile();
    const good = await readFile(path);
    for (let at = 0; at < good.length; at += 7) {
      const bad = Buffer.from(good);
      bad[at] = (bad[at] ?? 0) ^ 0x20;
      await writeFile(path, at % 2 === 0 ? bad : good.subarray(0, at));
      const other = fileLease({ folder, clock });
      expect(await other.acquire('x', request, testCall())).toBeUndefined();
      await clock.advance(10_001);
      const held = await other.acquire('x', request, testCall());
      expect(held?.token).toBe(2n);
      await held?.release(testCall());
      await writeFile(path, good);
      await writeFile(`${path}.copy`, good);
    }
  });

  it('says so when file and copy are damaged', async () => {
    const lease = fileLease({ folder, clock });
    await lease.acquire('x', request, testCall());
    const path = await leaseFile();
    for (const file of [path, `${path}.copy`]) await writeFile(file, 'junk');
    const failed = lease.acquire('x', request, testCall());
    await expect(failed).rejects.toMatchObject({ code: 'MNOPS_CORE_STORAGE_UNREADABLE', details: { path } });
  });

  it('says that a lease cannot be read', async () => {
    const lease = fileLease({ folder, clock });
    await (await lease.acquire('x', request, testCall()))?.release(testCall());
    const path = await leaseFile();
    await rm(path);
    await mkdir(path);
    const failed = lease.acquire('x', request, testCall());
    await expect(failed).rejects.toMatchObject({ code: 'MNOPS_CORE_STORAGE_FAILED', details: { path } });
  });

  it('refuses a folder that is a file, and wrong requests', async () => {
    const file = join(folder, 'file');
    await writeFile(file, '');
    const blocked = fileLease({ folder: join(file, 'x') }).acquire('x', request, testCall());
    await expect(blocked).rejects.toMatchObject({ code: 'MNOPS_CORE_STORAGE_FAILED' });
    const lease = fileLease({ folder, clock, marginMs: 500 });
    for (const [name, wrong, field] of [
      ['', request, 'name'],
      ['x', { ...request, owner: '' }, 'owner'],
      ['x', { ...request, ttlMs: 0 }, 'ttlMs'],
      ['x', { ...request, ttlMs: Number.NaN }, 'ttlMs'],
      ['x', { ...request, ttlMs: 500 }, 'ttlMs'],
    ] as const) {
      await expect(lease.acquire(name, wrong, testCall())).rejects.toMatchObject({
        code: 'MNOPS_CORE_CONFIG_INVALID',
        details: { issues: [{ field }] },
      });
    }
    expect(() => fileLease({ folder: '' })).toThrow(/folder/);
    expect(() => fileLease({ folder, margin: 1 } as never)).toThrow(/marginMs/);
  });

  it('tries a failed release again', async () => {
    const held = await fileLease({ folder, clock }).acquire('x', request, testCall());
    const aborted = testCall({ signal: AbortSignal.abort('no time') });
    await expect(held?.release(aborted)).rejects.toBe('no time');
    await held?.release(testCall());
    expect(await fileLease({ folder, clock }).acquire('x', request, testCall())).toBeDefined();
  });
});

describe('fileLease between processes', () => {
  it('never has two holders, and tokens only grow', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'mnops-lease-'));
    const journal = join(folder, 'journal.txt');
    const child = join(import.meta.dirname, 'fixtures/lease-racer.ts');
    const racers = [1, 2, 3].map((id) => {
      const racer = fork(child, [folder, journal, `racer-${id}`, '25'], {
        execArgv: ['--conditions=@mnops/source', '--import', 'tsx'],
        stdio: 'inherit',
      });
      return new Promise<number | null>((resolve) => racer.once('exit', resolve));
    });
    expect(await Promise.all(racers)).toEqual([0, 0, 0]);
    const lines = (await readFile(journal, 'utf8')).trim().split('\n');
    expect(lines).toHaveLength(150);
    let last = 0n;
    for (let index = 0; index < lines.length; index += 2) {
      const [entered = '', token = '', who = ''] = (lines[index] ?? '').split(' ');
      expect(entered).toBe('enter');
      expect(lines[index + 1]).toBe(`leave ${token} ${who}`);
      expect(BigInt(token)).toBeGreaterThan(last);
      last = BigInt(token);
    }
    await rm(folder, { recursive: true, force: true });
  });

  it('passes a lease on only after its time when the holder is killed', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'mnops-lease-'));
    const child = join(import.meta.dirname, 'fixtures/lease-holder.ts');
    const holder = fork(child, [folder, '600'], {
      execArgv: ['--conditions=@mnops/source', '--import', 'tsx'],
      stdio: 'inherit',
    });
    const takenAt = await new Promise<number>((resolve) => holder.once('message', () => resolve(performance.now())));
    holder.kill('SIGKILL');
    await new Promise((resolve) => holder.once('exit', resolve));
    const lease = fileLease({ folder });
    expect(await lease.acquire('x', request, testCall())).toBeUndefined();
    let freeAt = 0;
    await eventually(async () => {
      const held = await lease.acquire('x', request, testCall());
      freeAt = performance.now();
      if (held === undefined) return false;
      expect(held.token).toBe(2n);
      return true;
    });
    // The message travels, so the lease was taken a little before `takenAt`.
    expect(freeAt - takenAt).toBeGreaterThan(400);
    await rm(folder, { recursive: true, force: true });
  });
});
