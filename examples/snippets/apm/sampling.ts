import assert from 'node:assert/strict';
// #region sampling
import { PerformanceMonitoringManager } from '@mnops/apm';

const apm = new PerformanceMonitoringManager({
  service: 'shop',
  sampling: {
    tail: { slowerThan: 'p99', probability: 0.05, rules: [{ name: 'GET /health*', action: 'drop' }] },
  },
});
await apm.start();
// #endregion

function requests(count: number, name: string): void {
  for (let i = 0; i < count; i += 1) {
    apm.trace(name, { kind: 'server' }, (span) => {
      if (i % 100 === 99) span.setStatus({ code: 2 });
    });
  }
}
requests(2_000, 'GET /items');
requests(100, 'GET /health');

// #region kept
// Continues the example above.
for await (const kept of apm.findTraces({ operation: 'GET /items', limit: 3 })) {
  console.log(kept.keptBy, kept.adjustedCount); // error 1, or probability 20 …
}
console.log(apm.baselines({ operation: 'GET /items' })[0]?.count); // 2000: figures are made before sampling
console.log(apm.stats().sampling);
// #endregion

assert.equal(apm.baselines({ operation: 'GET /items' })[0]?.count, 2_000);
let failed = 0;
for await (const { hasError, root } of apm.findTraces({ limit: 10_000 })) {
  assert.equal(root?.name, 'GET /items');
  if (hasError) failed += 1;
}
assert.equal(failed, 20);
assert.ok(apm.stats().sampling.droppedSpans.probability > 1_000);
assert.equal(apm.stats().sampling.droppedSpans.rule, 100);
await apm.stop();
