import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const base = await mkdtemp(join(tmpdir(), 'mnops-snippet-'));
process.chdir(base);

// #region backup
import { mkdir, writeFile } from 'node:fs/promises';
import { DisasterRecoveryManager, files } from '@mnops/dr';

await mkdir('data', { recursive: true });
await writeFile('data/orders.json', '[]');

const dr = new DisasterRecoveryManager({
  service: 'shop',
  key: () => 'kept in a safe place', // or 'secret://dr/repository#passphrase' with `secrets`
  sources: [files('./data')],
  folder: './.mnops/dr',
});
await dr.start();

const backup = await dr.backup({ tags: ['before-migration'] });
console.log(backup.point?.id, backup.files, backup.addedBytes);

await dr.restore({ target: { folder: './restored' } }); // byte for byte, or an error that names every damaged path
// #endregion

assert.equal(backup.files[0]?.path, 'data/orders.json');
// #region next
const next = await dr.backup(); // reads only what changed
for await (const point of dr.recoveryPoints({ source: 'data' })) console.log(point.time, point.id, point.tags);
// #endregion
assert.equal(next.state, 'committed');
await dr.stop();
process.chdir(tmpdir());
await rm(base, { recursive: true });
