// Run by the campaign in a process of its own: appends for ever and tells what was acknowledged.
import { openSync, writeSync } from 'node:fs';
import { LogAggregationManager } from '@mnops/logging';

const [folder = '', told = ''] = process.argv.slice(2);
const logs = new LogAggregationManager({ sinks: [], folder, store: { blockBytes: 20_000 } });
await logs.start();
const descriptor = openSync(told, 'a');
writeSync(descriptor, '0\n');
writeSync(1, 'begun\n');
for (let index = 0; ; index += 25) {
  await logs.append(
    Array.from({ length: 25 }, (_, offset) => ({ message: 'm', attributes: { index: index + offset } })),
  );
  writeSync(descriptor, `${index + 25}\n`);
}
