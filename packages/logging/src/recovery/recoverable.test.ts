import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { recoverableContract } from '@mnops/core/testing';
import { describe, it } from 'vitest';
import { LogAggregationManager } from '../index.js';

async function contentOf(logs: LogAggregationManager): Promise<unknown> {
  return (await logs.search({ sort: 'oldest-first', limit: 10_000 })).entries;
}

recoverableContract({ describe, it }, 'log store', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'mnops-recover-'));
  const logs = new LogAggregationManager({
    service: 'shop',
    folder: join(folder, 'live'),
    sinks: [],
    store: { blockBytes: 600 },
  });
  await logs.start();
  let count = 0;
  return {
    provider: logs.recoverable,
    async change() {
      await logs.append([{ message: `entry ${count}`, attributes: { count } }]);
      count += 1;
    },
    content: () => contentOf(logs),
    async contentOf(restored) {
      const other = new LogAggregationManager({ folder: restored, sinks: [] });
      await other.start();
      try {
        return await contentOf(other);
      } finally {
        await other.stop();
      }
    },
    async close() {
      await logs.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
});
