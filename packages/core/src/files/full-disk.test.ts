import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type FileCalls, systemFiles } from './file-calls.js';
import { openFileRecordLog } from './file-record-log.js';
import type { RecordLog } from './record-log.js';

let folder: string;
let file: string;
const kind = { magic: 'MNTESTLG', version: 1 };
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mnops-full-'));
  file = join(folder, 'a.log');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const failing = (code: string): Error => Object.assign(new Error(code), { code });

/** A disk with room for so many further bytes. */
function disk(): FileCalls & { room: number; broken: 'sync' | 'truncate' | undefined; syncs: number } {
  const state = {
    room: Number.POSITIVE_INFINITY,
    broken: undefined as 'sync' | 'truncate' | undefined,
    syncs: 0,
    write: async (...[handle, bytes, from, position]: Parameters<FileCalls['write']>) => {
      if (state.room <= 0) throw failing('ENOSPC');
      const { bytesWritten } = await handle.write(bytes, from, Math.min(state.room, bytes.length - from), position);
      state.room -= bytesWritten;
      return bytesWritten;
    },
    writeSync: (...values: Parameters<FileCalls['writeSync']>) => {
      if (state.room <= 0) throw failing('ENOSPC');
      return systemFiles.writeSync(...values);
    },
    sync: async (...values: Parameters<FileCalls['sync']>) => {
      state.syncs += 1;
      if (state.broken === 'sync') throw failing('EIO');
      await systemFiles.sync(...values);
    },
    truncateSync: (...values: Parameters<FileCalls['truncateSync']>) => {
      if (state.broken === 'truncate') throw failing('EIO');
      systemFiles.truncateSync(...values);
    },
  };
  return state;
}

async function read(log: RecordLog): Promise<string[]> {
  const found: string[] = [];
  for await (const { sequence, payload } of log.records()) found.push(`${sequence}:${payload}`);
  return found;
}

describe('a log on a full disk', () => {
  it('refuses the append by name, keeps what was there, and goes on when there is room', async () => {
    const calls = disk();
    const log = await openFileRecordLog({ file, ...kind }, calls);
    await log.append(Buffer.from('one'));
    for (let room = 0; room < 60; room += 7) {
      calls.room = room;
      await expect(log.append([Buffer.from('two'), Buffer.from('x'.repeat(100))])).rejects.toMatchObject({
        code: 'MNOPS_CORE_STORAGE_FAILED',
        retryable: true,
        message: `Cannot append to ${file}: ENOSPC.`,
        details: { path: file, reason: 'ENOSPC' },
      });
      expect(await read(log)).toEqual(['0:one']);
    }
    expect(() => log.appendSync(Buffer.from('three'))).toThrow(/ENOSPC/);
    calls.room = Number.POSITIVE_INFINITY;
    await log.append(Buffer.from('four'));
    log.appendSync(Buffer.from('five'));
    expect(await read(log)).toEqual(['0:one', '1:four', '2:five']);
    await log.close();
    const again = await openFileRecordLog({ file, ...kind }, systemFiles);
    expect(again.damage).toEqual([]);
    await again.close();
  });

  it('cuts a torn write off later when it cannot at once', async () => {
    const calls = disk();
    const log = await openFileRecordLog({ file, ...kind }, calls);
    calls.room = 40;
    calls.broken = 'truncate';
    await expect(log.append(Buffer.from('x'.repeat(100)))).rejects.toThrow(/ENOSPC/);
    calls.room = Number.POSITIVE_INFINITY;
    await expect(log.append(Buffer.from('one'))).rejects.toThrow(/EIO/);
    calls.broken = undefined;
    await log.append(Buffer.from('two'));
    expect(await read(log)).toEqual(['0:two']);
    await log.close();
  });

  it('does not acknowledge what could not be synced', async () => {
    const calls = disk();
    const log = await openFileRecordLog({ file, ...kind }, calls);
    calls.broken = 'sync';
    await expect(log.append(Buffer.from('one'))).rejects.toThrow(/EIO/);
    await log.append(Buffer.from('two'), { sync: false });
    await expect(log.sync()).rejects.toMatchObject({ code: 'MNOPS_CORE_STORAGE_FAILED' });
    calls.broken = undefined;
    expect(await read(log)).toEqual(['0:two']);
    await log.close();
  });

  it('leaves the old file when a rewrite fails', async () => {
    const calls = disk();
    const log = await openFileRecordLog({ file, ...kind }, calls);
    await log.append(Buffer.from('old'));
    calls.room = 100;
    await expect(log.rewrite([Buffer.alloc(500)])).rejects.toMatchObject({
      code: 'MNOPS_CORE_STORAGE_FAILED',
      operation: 'rewrite',
    });
    calls.room = Number.POSITIVE_INFINITY;
    await log.append(Buffer.from('new'));
    expect(await read(log)).toEqual(['0:old', '1:new']);
    await log.close();
  });

  it('shares syncs between appends that wait at the same time', async () => {
    const calls = disk();
    const log = await openFileRecordLog({ file, ...kind }, calls);
    await Promise.all(Array.from({ length: 500 }, (_, index) => log.append(Buffer.from(`${index}`))));
    expect(calls.syncs).toBeLessThan(10);
    expect(await read(log)).toHaveLength(500);
    await log.close();
  });
});

const root = process.platform === 'linux' && process.getuid?.() === 0;
const mounted = root && canMount();

function canMount(): boolean {
  try {
    execFileSync('unshare', ['--mount', 'true'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

describe.skipIf(!mounted)(`a real full file system${mounted ? '' : ' (skipped: needs the right to mount)'}`, () => {
  it('is survived with every acknowledged record', async () => {
    const { build } = await import('esbuild');
    const outfile = join(folder, 'files.mjs');
    const entryPoints = [join(import.meta.dirname, 'index.ts')];
    await build({ entryPoints, bundle: true, platform: 'node', format: 'esm', outfile });
    await writeFile(
      join(folder, 'fill.mjs'),
      `import { openRecordLog } from './files.mjs';
       import { rmSync, writeFileSync } from 'node:fs';
       const [, , at] = process.argv;
       writeFileSync(at + '/ballast', Buffer.alloc(64 * 1024));
       const log = await openRecordLog({ file: at + '/a.log', magic: 'MNTESTLG', version: 1 });
       let acknowledged = 0;
       let reason;
       while (reason === undefined) {
         try { await log.append(Buffer.alloc(5000, acknowledged)); acknowledged += 1; } catch (error) { reason = error.details.reason; }
       }
       rmSync(at + '/ballast');
       await log.append(Buffer.from('after'));
       let found = 0;
       for await (const record of log.records()) found += 1;
       await log.close();
       const again = await openRecordLog({ file: at + '/a.log', magic: 'MNTESTLG', version: 1 });
       console.log(JSON.stringify({ reason, lost: acknowledged + 1 - found, damage: again.damage.length, some: acknowledged > 10 }));
       await again.close();`,
    );
    const script = `mkdir ${folder}/small && mount -t tmpfs -o size=256k none ${folder}/small && ${process.execPath} ${folder}/fill.mjs ${folder}/small`;
    const output = execFileSync('unshare', ['--mount', 'sh', '-c', script], { encoding: 'utf8' });
    expect(JSON.parse(output)).toEqual({ reason: 'ENOSPC', lost: 0, damage: 0, some: true });
  });
});
