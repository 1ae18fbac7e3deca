import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DisasterRecoveryManager, files } from '@mnops/dr';

const base = await mkdtemp(join(tmpdir(), 'mnops-snippet-'));
await mkdir(join(base, 'data'));
await writeFile(join(base, 'data', 'a'), 'a');

// #region schedule
const dr = new DisasterRecoveryManager({
  service: 'shop',
  key: 'a passphrase',
  sources: [files(join(base, 'data'))],
  repository: { folder: join(base, 'backups') }, // any restic repository of version 2, also one that restic made
  schedule: { backup: 'hourly', validate: { cron: '0 3 * * 0', timeZone: 'UTC' } }, // nothing runs that is not named
  tier: 2,
});
await dr.start();
console.log(await dr.health());
console.log(await dr.recoveryKit()); // print it and keep it apart: how to restore with restic alone
// #endregion
assert.match(await dr.recoveryKit(), /restic restore latest/);
await dr.stop();
await rm(base, { recursive: true });
