import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PerformanceMonitoringManager } from '@mnops/apm';

const folder = await mkdtemp(join(tmpdir(), 'mnops-apm-'));

// #region folder
const apm = new PerformanceMonitoringManager({ service: 'shop', folder });
apm.on('storage:damaged', ({ file, records }) => console.warn(`${file}: ${records} records lost`));
await apm.start();
apm.trace('GET /items', { kind: 'server' }, () => undefined);
await apm.stop();

// The next process knows what was usual, and shows what happened before.
const next = new PerformanceMonitoringManager({ service: 'shop', folder });
await next.start();
const [usual] = next.baselines({ operation: 'GET /items' });
for await (const trace of next.findTraces({ limit: 10 })) console.log(trace.traceId, usual?.bucket, usual?.count);
// #endregion

assert.equal(usual?.count, 1);

// #region hours
const monday = next.baselines({ operation: 'GET /items', at: new Date('2026-01-05T09:30:00Z') });
console.log(monday[0]?.bucket, monday[0]?.durationMs.p95);
// #endregion

// #region metric
next.recordMetric({ name: 'queue.depth', kind: 'gauge', value: 12, attributes: { queue: 'mail' } });
const [depth] = next.baselines({ kind: 'metric', operation: 'queue.depth' });
console.log(depth?.labels, depth?.durationMs.mean);
// #endregion

assert.deepEqual([depth?.labels, depth?.durationMs.mean], [{ queue: 'mail' }, 12]);

// #region snapshot
const other = new PerformanceMonitoringManager({ service: 'shop' });
const text = JSON.stringify(next.exportSnapshot()); // to another process, in any way
other.mergeSnapshot(JSON.parse(text));
console.log(other.baselines().length, other.serviceMap().services);
// #endregion

assert.equal(other.baselines({ operation: 'GET /items' })[0]?.count, 1);
await next.stop();
await rm(folder, { recursive: true });
