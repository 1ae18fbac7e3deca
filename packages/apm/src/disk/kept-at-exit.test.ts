import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PerformanceMonitoringManager } from '../performance-monitoring-manager.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mnops-apm-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

const source = new URL('../performance-monitoring-manager.ts', import.meta.url).href;

/** Runs a program that traces one request with a manager of `folder` and process hooks; returns how it ended. */
async function run(then: string): Promise<unknown[]> {
  const program = `
    import { PerformanceMonitoringManager } from ${JSON.stringify(source)};
    const folder = ${JSON.stringify(folder)};
    const apm = new PerformanceMonitoringManager({ service: 'shop', folder, processHooks: true });
    await apm.start();
    apm.trace('GET /items', { kind: 'server' }, () => undefined);
    ${then}
  `;
  const flags = ['--conditions=@mnops/source', '--import', import.meta.resolve('tsx'), '--input-type=module'];
  const child = spawn(process.execPath, [...flags, '-e', program], { stdio: ['ignore', 'ignore', 'inherit'] });
  try {
    return await once(child, 'close');
  } finally {
    child.kill('SIGKILL');
  }
}

describe('traces and baselines of a program that never stops its manager', () => {
  it.each([
    ['its natural end', '', [0, null]],
    ['SIGTERM', 'setInterval(() => undefined, 1000); process.kill(process.pid, "SIGTERM");', [null, 'SIGTERM']],
  ])('are in the folder after %s', { timeout: 60_000 }, async (_, then, ended) => {
    expect(await run(then)).toEqual(ended);
    const next = new PerformanceMonitoringManager({ service: 'shop', folder, registerGlobals: false });
    await next.start();
    try {
      const names: (string | undefined)[] = [];
      for await (const trace of next.findTraces()) names.push(trace.root?.name);
      expect(names).toEqual(['GET /items']);
      expect(next.baselines({ operation: 'GET /items' })[0]?.count).toBe(1);
    } finally {
      await next.stop();
    }
  });
});
