import assert from 'node:assert/strict';
// #region folder
import { PerformanceMonitoringManager } from '@mnops/apm';

const folder = 'data/apm';
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

// #region snapshot
// Continues the example above.
const other = new PerformanceMonitoringManager({ service: 'shop' });
const text = JSON.stringify(next.exportSnapshot()); // to another process, in any way
other.mergeSnapshot(JSON.parse(text));
console.log(other.baselines().length, other.serviceMap().services);
// #endregion

assert.equal(other.baselines({ operation: 'GET /items' })[0]?.count, 1);
await next.stop();
