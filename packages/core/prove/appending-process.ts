// Run by the campaign in a process of its own: appends and rewrites for ever and tells what was acknowledged.
import { openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { acquireFileLock, openRecordLog } from '@mnops/core/files';

const [folder = ''] = process.argv.slice(2);
await acquireFileLock(join(folder, 'lock'));
const log = await openRecordLog({ file: join(folder, 'log'), magic: 'MNPROVE1', version: 1 });
const told = openSync(join(folder, 'told'), 'a');
let next = 0;
for await (const { payload } of log.records()) next = Number(Buffer.from(payload).toString().split(' ')[0]) + 1;
const payload = (index: number): Buffer => Buffer.from(`${index} ${'x'.repeat((index * 37) % 2_000)}`);
writeSync(1, 'begun\n');
for (let round = 1; ; round += 1) {
  const first = next;
  next += 8;
  // Some wait together, some go alone.
  await Promise.all(Array.from({ length: 8 }, (_, offset) => log.append(payload(first + offset))));
  writeSync(told, `${next}\n`);
  if (round % 40 === 0) await log.rewrite(Array.from({ length: next }, (_, index) => payload(index)));
}
