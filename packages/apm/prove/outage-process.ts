// Run by the campaign in a process of its own: makes spans at a steady rate and says what it costs.
import { writeSync } from 'node:fs';
import { PerformanceMonitoringManager } from '../src/index.js';
import { otlp } from '../src/providers/otlp/index.js';

const [url = '', folder = '', seconds = '40', rate = '190', from = '0'] = process.argv.slice(2);
const apm = new PerformanceMonitoringManager({
  service: 'outage',
  ...(folder === '' ? {} : { folder }),
  exporters: [otlp({ url })],
  analysis: false,
  // What is kept for queries is no cost of the outage.
  store: { maxTraces: 1 },
});
await apm.start();
globalThis.gc?.();
const before = process.memoryUsage().heapUsed;
let most = 0;
let made = Number(from);
const first = made;
const begunMs = performance.now();
writeSync(1, 'begun\n');
while (performance.now() - begunMs < Number(seconds) * 1_000) {
  const due = first + Math.floor(((performance.now() - begunMs) / 1_000) * Number(rate));
  for (; made < due; made += 1) {
    const index = made;
    apm.trace(`work ${index}`, { attributes: { index, route: '/orders/{id}', user: 'somebody' } }, () => undefined);
  }
  // Only what ended before is promised; the time is that of the last one.
  writeSync(1, `${JSON.stringify({ made, atMs: Date.now() })}\n`);
  await new Promise((resolve) => setTimeout(resolve, 20));
  if (made % 50 < 5) {
    globalThis.gc?.();
    most = Math.max(most, process.memoryUsage().heapUsed - before);
  }
}
await apm.flush({ timeoutMs: 30_000 });
await apm.stop();
const { spans, exporters } = apm.stats();
writeSync(1, `${JSON.stringify({ made, ended: spans.ended, most, stats: exporters['otlp'] })}\n`);
