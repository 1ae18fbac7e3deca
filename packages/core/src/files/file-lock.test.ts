import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { build } from 'esbuild';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { acquireFileLock, type LockOwner } from './file-lock.js';
import { processIdentity } from './process-identity.js';

let tools: string;
let folder: string;
let path: string;
const children = new Set<ChildProcess>();

beforeAll(async () => {
  tools = await mkdtemp(join(tmpdir(), 'mnops-lock-tools-'));
  const entryPoints = [join(import.meta.dirname, 'file-lock.ts')];
  await build({ entryPoints, bundle: true, platform: 'node', format: 'esm', outfile: join(tools, 'lock.mjs') });
  await writeFile(
    join(tools, 'racer.mjs'),
    `import { readFileSync, unlinkSync, writeFileSync } from 'node:fs';
     import { setTimeout as wait } from 'node:timers/promises';
     import { acquireFileLock } from './lock.mjs';
     const [folder, rounds, dieAt] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];
     const alive = (pid) => { try { return readFileSync('/proc/' + pid + '/stat', 'utf8').split(') ')[1][0] !== 'Z'; } catch { return false; } };
     for (let round = 0; round < rounds; ) {
       let lock;
       try { lock = await acquireFileLock(folder + '/lock'); } catch (error) {
         if (error.code !== 'MNOPS_CORE_LOCKED') throw error;
         await wait(Math.random() * 3);
         continue;
       }
       try { writeFileSync(folder + '/inside', String(process.pid), { flag: 'wx' }); } catch {
         const other = Number(readFileSync(folder + '/inside', 'utf8'));
         if (alive(other)) { console.log('VIOLATION'); process.exit(9); }
         writeFileSync(folder + '/inside', String(process.pid));
       }
       const count = Number(readFileSync(folder + '/count', 'utf8'));
       await wait(Math.random() * 2);
       writeFileSync(folder + '/count', String(count + 1));
       if (round === dieAt) process.kill(process.pid, 'SIGKILL');
       unlinkSync(folder + '/inside');
       await lock.release();
       round += 1;
     }`,
  );
  await writeFile(
    join(tools, 'holder.mjs'),
    `import { acquireFileLock } from './lock.mjs';
     await acquireFileLock(process.argv[2], { purpose: 'hold' });
     console.log('held');
     setInterval(() => undefined, 1000);`,
  );
});
afterAll(() => rm(tools, { recursive: true, force: true }));
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mnops-lock-'));
  path = join(folder, 'lock');
});
afterEach(async () => {
  for (const child of children) child.kill('SIGKILL');
  children.clear();
  await rm(folder, { recursive: true, force: true });
});

function start(program: string, ...values: string[]): ChildProcess {
  const child = spawn(process.execPath, [join(tools, program), ...values], { stdio: ['ignore', 'pipe', 'inherit'] });
  children.add(child);
  return child;
}

const closed = (child: ChildProcess): Promise<string> =>
  new Promise((resolve) => {
    let output = '';
    child.stdout?.on('data', (chunk) => {
      output += chunk;
    });
    child.on('close', (code, signal) => resolve(`${output}${signal ?? code}`));
  });

describe('acquireFileLock', () => {
  it('has one holder at a time, in one process too', async () => {
    const lock = await acquireFileLock(path, { purpose: 'test' });
    await expect(acquireFileLock(path)).rejects.toMatchObject({
      code: 'MNOPS_CORE_LOCKED',
      retryable: true,
      message: `${path} is held by process ${process.pid} on ${hostname()}.`,
      details: { path, owner: { pid: process.pid, purpose: 'test' } },
    });
    await lock.release();
    await lock.release();
    const again = await acquireFileLock(path);
    await lock.release();
    await expect(acquireFileLock(path)).rejects.toMatchObject({ code: 'MNOPS_CORE_LOCKED' });
    await again.release();
    expect(await readdir(folder)).toEqual([]);
  });

  it('is taken over from a worker that ended without a word, once it has been silent for long', async () => {
    const worker = new Worker(
      `import('${pathToFileURL(join(tools, 'lock.mjs')).href}').then(async ({ acquireFileLock }) => {
         await acquireFileLock(process.argv[2], { purpose: 'worker' });
         process.exit();
       });`,
      { eval: true, argv: [path], execArgv: [] },
    );
    await once(worker, 'exit');
    await expect(acquireFileLock(path)).rejects.toMatchObject({ code: 'MNOPS_CORE_LOCKED' });
    const silent = new Date(Date.now() - 61_000);
    await utimes(path, silent, silent);
    const lock = await acquireFileLock(path);
    // Its own silence costs nobody a lock, for whoever asks can be asked.
    await utimes(path, silent, silent);
    await expect(acquireFileLock(path)).rejects.toMatchObject({ code: 'MNOPS_CORE_LOCKED' });
    await lock.release();
  });

  it('is respected across processes, and taken over from one that was killed', async () => {
    const child = start('holder.mjs', path);
    await new Promise((resolve) => child.stdout?.once('data', resolve));
    await expect(acquireFileLock(path)).rejects.toMatchObject({
      details: { owner: { pid: child.pid, purpose: 'hold' } },
    });
    const end = closed(child);
    child.kill('SIGKILL');
    await end;
    const lock = await acquireFileLock(path);
    await lock.release();
    expect(await readdir(folder)).toEqual([]);
  });

  it('lets no two processes in, however they race and die', async () => {
    await writeFile(join(folder, 'count'), '0');
    const racers = [6, 3, 6, 2, 6].map((rounds) =>
      start('racer.mjs', folder, '6', rounds === 6 ? '-1' : String(rounds)),
    );
    const ends = await Promise.all(racers.map(closed));
    expect(ends).toEqual(['0', 'SIGKILL', '0', 'SIGKILL', '0']);
    // Three do six rounds; those that die at round 3 and 2 have counted four and three.
    expect(await readFile(join(folder, 'count'), 'utf8')).toBe(String(3 * 6 + 4 + 3));
  });

  async function leave(change: Partial<LockOwner>, ageMs = 0): Promise<void> {
    const lock = await acquireFileLock(path);
    const owner = { ...lock.owner, token: 'left', ...change };
    await lock.release();
    await writeFile(path, JSON.stringify(owner));
    const at = new Date(Date.now() - ageMs);
    await utimes(path, at, at);
  }

  it.each([
    ['of a number that another process has now', { startTime: '1' }, 0, true],
    ['of an earlier boot', { bootId: 'earlier' }, 0, true],
    ['of another machine that was active just now', { bootId: 'other', host: 'other' }, 1_000, false],
    ['of another machine that is silent', { bootId: 'other', host: 'other' }, 61_000, true],
    ['of another container that was active just now', { namespace: 'pid:[1]', host: 'other' }, 1_000, false],
    ['of another container that is silent', { namespace: 'pid:[1]', host: 'other' }, 61_000, true],
  ] as const)('judges an owner %s', async (_, change, ageMs, free) => {
    await leave(change, ageMs);
    if (free) await (await acquireFileLock(path)).release();
    else await expect(acquireFileLock(path)).rejects.toMatchObject({ code: 'MNOPS_CORE_LOCKED' });
  });

  it('takes over a file that names nobody once it is old, and a takeover that was cut short', async () => {
    await writeFile(path, '');
    await expect(acquireFileLock(path)).rejects.toMatchObject({ code: 'MNOPS_CORE_LOCKED' });
    const old = new Date(Date.now() - 10_000);
    await utimes(path, old, old);
    await (await acquireFileLock(path)).release();
    await leave({ bootId: 'earlier' });
    const dead = JSON.parse(await readFile(path, 'utf8')) as LockOwner;
    await writeFile(`${path}.after-left`, JSON.stringify({ ...dead, token: 'second' }));
    await (await acquireFileLock(path)).release();
    expect(await readdir(folder)).toEqual([]);
  });

  it('says which path failed', async () => {
    await expect(acquireFileLock(join(folder, 'none', 'lock'))).rejects.toMatchObject({
      code: 'MNOPS_CORE_STORAGE_FAILED',
      details: { path: join(folder, 'none', 'lock'), reason: 'ENOENT' },
    });
  });
});

describe('processIdentity', () => {
  it('knows this process, and tells that another is gone', async () => {
    const self = await processIdentity();
    expect(self?.pid).toBe(process.pid);
    expect(await processIdentity(process.pid)).toEqual(self);
    if (process.platform === 'linux') {
      expect(self).toEqual({
        pid: process.pid,
        startTime: expect.stringMatching(/^\d+$/),
        bootId: expect.stringMatching(/^[0-9a-f-]{36}$/),
      });
    }
    const child = spawn(process.execPath, ['-e', '']);
    const end = closed(child);
    await end;
    expect(await processIdentity(child.pid ?? 0)).toBeUndefined();
    expect(await processIdentity(-1)).toBeUndefined();
  });
});
