import assert from 'node:assert/strict';
// #region trace
import { PerformanceMonitoringManager, type Span, type Trace } from '@mnops/apm';

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
function tree(found: Trace, parent: Span | undefined = found.root, depth = 0): string[] {
  if (parent === undefined) return [];
  const line = `${'  '.repeat(depth)}${parent.name}  ${(Number(parent.durationNano) / 1e6).toFixed(2)} ms`;
  const children = found.spans.filter((span) => span.parentSpanId === parent.spanId);
  return [line, ...children.flatMap((child) => tree(found, child, depth + 1))];
}
if (trace !== undefined) console.log(tree(trace).join('\n'));
// #endregion

assert.equal(trace?.complete, true);
assert.match(tree(trace).join('\n'), /^POST \/orders {2}[\d.]+ ms\n {2}reserve stock {2}[\d.]+ ms$/);
await apm.stop();
