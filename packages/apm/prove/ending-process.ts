// Run by the campaigns in a process of its own: makes spans and ends as told.
import { PerformanceMonitoringManager } from '../src/index.js';
import { otlp } from '../src/providers/otlp/index.js';

const [mode = '', url = '', folder = '', spans = '100'] = process.argv.slice(2);
const apm = new PerformanceMonitoringManager({
  service: 'ending',
  folder,
  processHooks: mode !== 'replay',
  exporters: [otlp({ url })],
});
await apm.start();
if (mode === 'replay') {
  await apm.flush();
  await apm.stop();
} else {
  for (let index = 0; index < Number(spans); index += 1) {
    apm.trace(`work ${index}`, { attributes: { index } }, () => undefined);
  }
  if (mode === 'exit') process.exit(3);
  if (mode === 'throw') {
    setImmediate(() => {
      throw new Error('of the program itself');
    });
  }
  if (mode === 'signal') {
    setInterval(() => undefined, 1_000);
    process.stdout.write('ready\n');
  }
}
