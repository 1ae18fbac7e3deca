import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fakeClock } from '@mnops/core/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { APMEvents } from '../events.js';
import { PerformanceMonitoringManager } from '../performance-monitoring-manager.js';
import { spanOf } from '../testing/spans.js';
import { testExporter } from '../testing/test-exporter.js';

let base: string;
const running: PerformanceMonitoringManager[] = [];
const mounted: string[] = [];
beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), 'mnops-apm-'));
});
afterEach(async () => {
  for (const apm of running.splice(0)) await apm.stop();
  for (const at of mounted.splice(0)) execFileSync('umount', [at], { stdio: 'ignore' });
  await rm(base, { recursive: true, force: true });
});

/** A manager that keeps all it can, and what it tells. */
function manager(folder: string) {
  const clock = fakeClock({ nowMs: Date.UTC(2026, 0, 7, 12) });
  const failed: APMEvents['folder:failed'][] = [];
  const spools: APMEvents['spool:failed'][] = [];
  let [recovered, delivered] = [0, 0];
  const apm = new PerformanceMonitoringManager({
    service: 'shop',
    registerGlobals: false,
    folder,
    clock,
    exporters: [
      testExporter(({ spanCount }) => {
        delivered += spanCount;
        return { accepted: spanCount, rejected: 0 };
      }),
    ],
  });
  apm.on('folder:failed', (why) => failed.push(why));
  apm.on('spool:failed', (why) => spools.push(why));
  apm.on('folder:recovered', () => {
    recovered += 1;
  });
  running.push(apm);
  return { apm, clock, failed, spools, recovered: () => recovered, delivered: () => delivered };
}
type Made = ReturnType<typeof manager>;

async function take({ apm }: Made, id: string): Promise<void> {
  await apm.ingest([spanOf({ trace: id, id, kind: 'server', startMs: Date.UTC(2026, 0, 7, 12) })]);
}

/** Told by event and health, with the system's word and a remedy, and spans still reach the back end. */
async function expectTold(made: Made, reason: string, remedy: RegExp, kept = 'Traces and baselines'): Promise<void> {
  const { apm, failed, delivered } = made;
  expect(failed.at(-1)).toMatchObject({
    code: 'MNOPS_CORE_STORAGE_FAILED',
    reason,
    remedy: expect.stringMatching(remedy),
  });
  const { status, reasons } = await apm.health();
  expect(status).toBe('degraded');
  expect(
    reasons.filter((text) => text.startsWith(kept) && text.includes(`(${reason})`) && remedy.test(text)),
  ).toHaveLength(1);
  const before = delivered();
  apm.trace('still delivered', () => undefined);
  await apm.flush();
  expect(delivered()).toBe(before + 1);
}

async function untilReady({ apm, clock }: Made): Promise<void> {
  await expect
    .poll(async () => {
      await clock.advance(31_000);
      return apm.status;
    })
    .toBe('ready');
}

/** A disk of 1 MiB at a path; false where nobody may mount one. */
function mount(at: string, options = 'size=1m'): boolean {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', at], { stdio: 'ignore' });
    mounted.push(at);
    return true;
  } catch {
    return false;
  }
}

describe('a folder that cannot be written to', () => {
  it('is told of where a file stands in its place, and used once it is gone', async () => {
    await writeFile(join(base, 'file'), '');
    const made = manager(join(base, 'file', 'below'));
    await made.apm.start();
    await expectTold(made, 'ENOTDIR', /A file stands/);
    await expectTold(made, 'ENOTDIR', /A file stands/, 'The spool of exporter test');
    expect(made.spools[0]).toMatchObject({ exporter: 'test', remedy: expect.stringMatching(/A file stands/) });
    expect(made.failed).toHaveLength(1);
    await take(made, '1');
    expect((await made.apm.getTrace('1'.padStart(32, '0')))?.spans).toHaveLength(1);
    await rm(join(base, 'file'));
    await untilReady(made);
    expect(made.recovered()).toBe(1);
    expect((await made.apm.health()).reasons).toEqual([]);
    await made.apm.stop();
    const numbers = await readdir(join(base, 'file', 'below', 'numbers'));
    expect(numbers.filter((name) => name.endsWith('.num'))).toHaveLength(1);
  });

  it.each(['numbers', 'traces'])('is told of when its %s become a file later', async (part) => {
    const made = manager(join(base, 'folder'));
    await made.apm.start();
    expect(made.apm.status).toBe('ready');
    await rm(join(base, 'folder', part), { recursive: true });
    await writeFile(join(base, 'folder', part), '');
    await take(made, '1');
    await made.apm.flush();
    await expectTold(made, 'ENOTDIR', /A file stands/);
    await rm(join(base, 'folder', part));
    await untilReady(made);
    expect(made.recovered()).toBe(1);
  });

  it('is told of when the disk is full', async ({ skip }) => {
    const disk = join(base, 'disk');
    await mkdir(disk);
    skip(!mount(disk), 'a disk can be mounted by root only');
    const made = manager(join(disk, 'folder'));
    await made.apm.start();
    execFileSync('sh', ['-c', 'cat /dev/zero > "$0" || true', join(disk, 'full')], { stdio: 'ignore' });
    await take(made, '1');
    await made.apm.flush();
    await expectTold(made, 'ENOSPC', /Make room/);
    await rm(join(disk, 'full'));
    await untilReady(made);
    expect(made.failed.map(({ reason }) => reason)).toEqual(['ENOSPC']);
    expect(made.recovered()).toBe(1);
  });

  it('is told of when the disk is read-only', async ({ skip }) => {
    const disk = join(base, 'disk');
    await mkdir(disk);
    skip(!mount(disk, 'ro,size=1m'), 'a disk can be mounted by root only');
    const made = manager(join(disk, 'folder'));
    await made.apm.start();
    await expectTold(made, 'EROFS', /Mount the file system writable/);
    execFileSync('mount', ['-o', 'remount,rw', disk], { stdio: 'ignore' });
    await untilReady(made);
    expect(made.recovered()).toBe(1);
  });
});
