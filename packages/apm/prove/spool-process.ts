// Run by the campaign in a process of its own: makes spans that nobody takes, and says which of them ended.
import { writeSync } from 'node:fs';
import { PerformanceMonitoringManager } from '../src/index.js';
import { otlp } from '../src/providers/otlp/index.js';

const [folder = '', url = '', intervalMs = '20', from = '0'] = process.argv.slice(2);
const apm = new PerformanceMonitoringManager({
  service: 'killed',
  folder,
  spool: { intervalMs: Number(intervalMs) },
  exporters: [otlp({ url })],
});
await apm.start();
writeSync(1, 'begun\n');
for (let index = Number(from); ; index += 1) {
  apm.trace(`work ${index}`, { attributes: { index } }, () => undefined);
  if (index % 20 !== 19) continue;
  await new Promise((resolve) => setTimeout(resolve, 2));
  // What is on disk now is promised.
  writeSync(1, `${apm.stats().exporters['otlp']?.spool?.spans ?? 0}\n`);
}
