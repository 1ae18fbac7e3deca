import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fakeClock, memorySnapshot, recoverableContract, testCall } from '@mnops/core/testing';
import { afterAll, describe, expect, it } from 'vitest';
import { PerformanceMonitoringManager } from '../performance-monitoring-manager.js';
import { spanOf } from '../testing/spans.js';

const folders: string[] = [];
afterAll(async () => {
  for (const folder of folders) await rm(folder, { recursive: true, force: true });
});

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'mnops-apm-'));
  folders.push(folder);
  return folder;
}

async function managerOf(folder: string): Promise<PerformanceMonitoringManager> {
  const apm = new PerformanceMonitoringManager({
    service: 'shop',
    registerGlobals: false,
    folder,
    clock: fakeClock({ nowMs: 1_700_000_100_000 }),
  });
  await apm.start();
  return apm;
}

/** Traces, baselines and map, in a form that can be compared. */
async function contentOf(apm: PerformanceMonitoringManager): Promise<unknown> {
  const traces: unknown[] = [];
  for await (const trace of apm.findTraces({ limit: 10_000 })) traces.push(trace);
  traces.sort((a, b) => ((a as { traceId: string }).traceId < (b as { traceId: string }).traceId ? -1 : 1));
  return { traces, baselines: apm.baselines(), map: apm.serviceMap() };
}

recoverableContract({ describe, it }, 'apm folder', async () => {
  const apm = await managerOf(await newFolder());
  let sequence = 0;
  return {
    provider: apm.recoverable,
    async change() {
      const spans = Array.from({ length: 20 }, () => {
        sequence += 1;
        const id = sequence.toString(16);
        return spanOf({ trace: id, id, name: `GET /${sequence % 3}`, kind: 'server', durationMs: sequence });
      });
      await apm.ingest(spans);
    },
    content: () => contentOf(apm),
    async contentOf(folder) {
      const restored = await managerOf(folder);
      const content = await contentOf(restored);
      await restored.stop();
      return content;
    },
    close: () => apm.stop().then(() => undefined),
  };
});

describe('recoverable', () => {
  it('has nothing to save without a folder, and says so', async () => {
    const apm = new PerformanceMonitoringManager({ service: 'shop' });
    await expect(apm.recoverable.snapshot(memorySnapshot().sink, testCall())).rejects.toMatchObject({
      code: 'MNOPS_CORE_UNSUPPORTED',
    });
  });

  it('finds a damaged record in a folder', async () => {
    const folder = await newFolder();
    const apm = await managerOf(folder);
    await apm.ingest([spanOf({ trace: '1', id: '1', kind: 'server' })]);
    const snapshot = memorySnapshot();
    await apm.recoverable.snapshot(snapshot.sink, testCall());
    await apm.stop();
    const [path, bytes] = [...snapshot.files].find(([name]) => name.endsWith('.trc')) as [string, Buffer];
    bytes[bytes.length - 20] = (bytes.at(-20) as number) ^ 1;
    const target = await newFolder();
    await expect(apm.recoverable.restore(snapshot.reader, { folder: target }, testCall())).rejects.toMatchObject({
      code: 'MNOPS_CORE_STORAGE_UNREADABLE',
    });
    expect(await apm.recoverable.verify({ folder: target }, testCall())).toMatchObject([{ path, severity: 'error' }]);
    expect(await apm.recoverable.verify({ inPlace: true }, testCall())).toEqual([]);
  });
});
