import { appendFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '@mnops/core';
import { fakeClock, healthSourceContract, logSourceContract, metricSourceContract } from '@mnops/core/testing';
import { describe, expect, it } from 'vitest';
import { serviceConfig } from './fixtures/service-config.js';
import { ContainerOrchestrationManager, local } from './index.js';
import { logFile, logFolder, prepareLogs, rotateLog } from './providers/local/log-files.js';
import { localLogSource } from './providers/local/log-source.js';
import { Figures } from './proxy/figures.js';
import { proxyMetricSource } from './proxy/metric-source.js';

async function logs() {
  const folder = await mkdtemp(join(tmpdir(), 'mnops-logs-'));
  const place = logFolder(folder, 'web', 'web-1');
  await prepareLogs(place, { name: 'web', version: '1', instance: 'web-1' });
  return {
    provider: localLogSource({ folder: () => folder, clock: systemClock() }),
    place,
    write: (lines: readonly string[]) =>
      appendFile(logFile(place, 'stdout'), lines.map((line) => `${line}\n`).join('')),
    close: () => rm(folder, { recursive: true, force: true }),
  };
}

logSourceContract({ describe, it }, 'local processes', logs);

logSourceContract({ describe, it }, 'local processes that rotate', async () => {
  const subject = await logs();
  return {
    ...subject,
    write: async (lines) => {
      await subject.write(lines);
      await rotateLog(subject.place, 'stdout', 0, 5);
    },
  };
});

metricSourceContract({ describe, it }, 'proxy figures', async () => ({
  provider: proxyMetricSource(new Figures(fakeClock())),
}));

// The proxy has a histogram and a counter, and nothing that a gauge's cases could be fed to.
const withoutGauges = (name: string, body: () => Promise<void>) =>
  name.startsWith('gauge') ? undefined : it(name, body);

metricSourceContract({ describe, it: withoutGauges }, 'proxy figures, fed', async () => {
  const clock = fakeClock();
  const figures = new Figures(clock);
  const totals = new Map<string, number>();
  return {
    provider: proxyMetricSource(figures),
    feed: {
      // The proxy counts events itself: a total is so many events since the total before, the first one included when it is small.
      counter: (metric, labels, total) => {
        const key = JSON.stringify([metric, labels]);
        const before = totals.get(key);
        totals.set(key, total);
        const events = before === undefined ? 0 : total >= before ? total - before : total;
        const series = figures.series(metric, labels);
        for (let count = 0; count < events; count += 1) series?.add(clock.monotonic(), 0);
      },
      gauge: () => undefined,
      observe: (metric, labels, value) => void figures.series(metric, labels)?.add(clock.monotonic(), value * 1_000),
      tick: (ms) => clock.advance(ms),
    },
  };
});

healthSourceContract({ describe, it }, 'orchestration', async () => {
  const manager = new ContainerOrchestrationManager({ provider: local() });
  await manager.start();
  await manager.deploy(serviceConfig({ replicas: 1 }));
  return {
    provider: manager.healthSource,
    close: () => manager.stop(),
  };
});

describe('what instances write', () => {
  it('comes with who wrote it, exactly once over a rotation', async () => {
    const manager = new ContainerOrchestrationManager({ provider: local() });
    await manager.start();
    await manager.deploy(serviceConfig({ replicas: 2, version: '7' }));
    const seen: string[] = [];
    const controller = new AbortController();
    const call = { signal: controller.signal, remainingMs: () => 10_000, secret: async () => '' };
    for await (const batch of manager.logSource!.read({}, call)) {
      expect(batch.identity).toMatchObject({ name: 'web', version: '7' });
      expect(batch.stream).toMatch(/^web\/web-[0-9a-f]{6}-[12]\/stdout$/);
      for (const { bytes } of batch.frames) seen.push(String(bytes));
      if (seen.length === 2) controller.abort();
    }
    expect(seen.every((line) => line.startsWith('listening web-'))).toBe(true);
    await manager.stop();
  });
});
