import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MnopsError } from '@mnops/core';
import { DisasterRecoveryManager, files, type RestoreResult } from '@mnops/dr';

const base = await mkdtemp(join(tmpdir(), 'mnops-snippet-'));
await mkdir(join(base, 'data'));
await writeFile(join(base, 'data', 'one'), 'one '.repeat(5000));
await writeFile(join(base, 'data', 'two'), 'two '.repeat(5000));
const dr = new DisasterRecoveryManager({ key: 'a passphrase', sources: [files(join(base, 'data'))], folder: base });
await dr.backup();

const packs = join(base, 'repository', 'data');
let largest = { path: '', size: 0 };
for (const name of await readdir(packs, { recursive: true })) {
  const { size } = await stat(join(packs, name));
  if (size > largest.size && name.length > 60) largest = { path: join(packs, name), size };
}
const bytes = await readFile(largest.path);
bytes[30_000] = (bytes[30_000] ?? 0) ^ 1;
await chmod(largest.path, 0o600);
await writeFile(largest.path, bytes);

// #region validate
const found = await dr.validate({ depth: 'full' }); // reads every byte; 'structure' reads lists and trees only
for (const { object, message, remedy } of found.findings) console.log(object, message, remedy);
for (const { point, path } of found.damagedPaths) console.log('lost', point, path);
// #endregion
assert.equal(found.damagedPaths.length, 1);

// #region restore
try {
  await dr.restore({ target: { folder: join(base, 'restored') } });
} catch (error) {
  if (!MnopsError.is(error, 'MNOPS_DR_RESTORE_INCOMPLETE')) throw error;
  const { result } = error.details as unknown as { result: RestoreResult };
  console.log(`${result.files.length} files are back; lost: ${result.damaged.map(({ path }) => path).join(', ')}`);
}
// #endregion

// #region heal
await dr.backup(); // what a damaged pack held is read and stored again
const healed = await dr.restore({ target: { folder: join(base, 'healed') } });
// #endregion
assert.equal(healed.state, 'exact');
await dr.stop();
await rm(base, { recursive: true });
