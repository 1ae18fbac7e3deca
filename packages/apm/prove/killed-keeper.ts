// Run by the campaign in a process of its own: records requests for ever and tells what was acknowledged.
import { openSync, writeSync } from 'node:fs';
import { PerformanceMonitoringManager } from '../src/performance-monitoring-manager.js';

const [folder = '', told = ''] = process.argv.slice(2);
const apm = new PerformanceMonitoringManager({ service: 'killed', registerGlobals: false, folder });
await apm.start();
const descriptor = openSync(told, 'a');
writeSync(descriptor, '0\n');
writeSync(1, 'begun\n');
for (let index = 0; ; index += 20) {
  for (let offset = 0; offset < 20; offset += 1) {
    apm.trace('GET /', { kind: 'server', attributes: { index: index + offset } }, () => undefined);
  }
  await apm.flush();
  writeSync(descriptor, `${index + 20}\n`);
}
