import assert from 'node:assert/strict';
// #region trace
import { PerformanceMonitoringManager } from '@mnops/apm';
import { traceTree } from '@mnops/apm/terminal';

const apm = new PerformanceMonitoringManager({ service: 'shop' });
await apm.start();

const traceId = await apm.trace('POST /orders', { kind: 'server' }, async (span) => {
  span.setAttribute('order.items', 3);
  await apm.trace('reserve stock', { kind: 'client', attributes: { 'db.namespace': 'stock' } }, async () => undefined);
  return span.spanContext().traceId;
});

const trace = await apm.getTrace(traceId);
// #endregion

// #region tree
// Continues the example above.
if (trace !== undefined) console.log(traceTree(trace));
// trace 0af7651916cd43dd8448eb211c80319c  0.84 ms  2 spans  2026-01-05T09:30:00.000Z
// POST /orders  shop                 0.84 ms  ████████████████████████
// └─ reserve stock  shop → stock     0.21 ms          ██████
// #endregion

assert.equal(trace?.complete, true);
assert.match(
  trace === undefined ? '' : traceTree(trace),
  /\nPOST \/orders {2}shop .*\n└─ reserve stock {2}shop → stock /,
);
await apm.stop();
