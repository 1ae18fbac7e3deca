import assert from 'node:assert/strict';
import type { Span } from '@mnops/apm';
// #region operator
import { PerformanceMonitoringManager } from '@mnops/apm';

const apm = new PerformanceMonitoringManager({ service: 'operator' });
await apm.start();
const releasedAt = new Date(Date.now() - 60_000);
// #endregion
await apm.ingest(requestsOf(500, releasedAt.getTime() - 60_000, 5));
await apm.ingest(requestsOf(500, releasedAt.getTime(), 90));

// #region report
// Continues the example above, when there are traces of before and after.
// #region cause
const report = await apm.findRootCause({ service: 'catalog', at: releasedAt });
if (report.verdict === 'found') {
  const [first] = report.candidates;
  console.log(first?.service, first?.version, first?.evidence[0]?.text, first?.traceIds);
}
// #endregion
// #endregion

assert.equal(report.verdict, 'found');
assert.equal(report.candidates[0]?.service, 'catalog');
assert.equal(report.candidates[0]?.version, '2.0.0');
await apm.stop();

/** Spans as an exporter of catalog would send them: a quarter of the requests reach version 2. */
function requestsOf(count: number, startMs: number, newVersionMs: number): Span[] {
  return Array.from({ length: count }, (_, i) => {
    const isNew = newVersionMs > 5 && i % 4 === 0;
    const durationMs = (isNew ? newVersionMs : 5) + (i % 7) / 10;
    const id = (startMs + i).toString(16);
    return {
      traceId: id.padStart(32, '0'),
      spanId: id.padStart(16, '0'),
      traceFlags: 1,
      name: 'GET /items',
      kind: 'server',
      startTimeUnixNano: BigInt(startMs + i * 50) * 1_000_000n,
      durationNano: BigInt(Math.round(durationMs * 1e6)),
      status: { code: 'unset' },
      attributes: {},
      events: [],
      links: [],
      dropped: { attributes: 0, events: 0, links: 0 },
      resource: { 'service.name': 'catalog', 'service.version': isNew ? '2.0.0' : '1.9.0' },
      scope: { name: 'catalog' },
    };
  });
}
