import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

// #region files
import { acquireFileLock, openRecordLog } from '@mnops/core/files';

const folder = await mkdtemp(join(tmpdir(), 'mnops-snippet-'));

const lock = await acquireFileLock(join(folder, 'journal.lock'), { purpose: 'journal' }); // one process at a time
const log = await openRecordLog({ file: join(folder, 'journal'), magic: 'EXAMPLE1', version: 1 });

await log.append(Buffer.from('survives kill -9 and power loss')); // on the disk when it resolves
await log.append([Buffer.from('two records'), Buffer.from('in one write')]);

const texts: string[] = [];
for await (const { sequence, payload } of log.records()) texts.push(`${sequence}: ${payload}`);
assert.deepEqual(texts, ['0: survives kill -9 and power loss', '1: two records', '2: in one write']);
assert.deepEqual(log.damage, []); // what was found damaged, if anything: the rest is read all the same

await log.close();
await lock.release();
// #endregion
await rm(folder, { recursive: true });
