import assert from 'node:assert/strict';
// #region collect
import { LogAggregationManager, type LogSource } from '@mnops/logging';

const lines = ['{"level":"warn","msg":"cache miss","key":"a"}', '2026-01-01T00:00:00Z ERROR plain text'];
const source: LogSource = {
  specVersion: 1,
  kind: 'log-source',
  id: 'catalog',
  capabilities: { scope: 'service', resume: 'exact' },
  async *read({ checkpoint }, { signal }) {
    const from = typeof checkpoint === 'number' ? checkpoint : 0; // where the last run ended
    const frames = lines.slice(from).map((bytes) => ({ bytes }));
    yield { stream: 'catalog/1/stdout', identity: { name: 'catalog' }, frames, checkpoint: lines.length };
    await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
  },
};

const logs = new LogAggregationManager({ service: 'operator', sinks: [] });
await logs.start();
const collection = logs.collect(source);
// #endregion
while (collection.stats().entries < 2) await new Promise((resolve) => setTimeout(resolve, 5));
const { entries } = await logs.search({ where: { service: 'catalog' } });
assert.deepEqual(entries.map(({ level }) => level).toSorted(), ['error', 'warn']);
await logs.stop();
