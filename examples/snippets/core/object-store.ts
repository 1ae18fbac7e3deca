import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
// #region folder
import { callOf } from '@mnops/core';
import { folderStore, retrying, s3Store } from '@mnops/core/object-store';

const folder = await mkdtemp(join(tmpdir(), 'mnops-snippet-'));

const store = folderStore({ folder });
const call = callOf();

const first = await store.put('reports/january', Buffer.from('draft'), { ...call, ifAbsent: true });
await store.put('reports/january', Buffer.from('final'), { ...call, ifMatch: first.etag });
await assert.rejects(store.put('reports/january', Buffer.from('late'), { ...call, ifMatch: first.etag }), {
  code: 'MNOPS_CORE_CONFLICT',
});

const names: string[] = [];
for await (const { name } of store.list('reports/', call)) names.push(name);
assert.deepEqual(names, ['reports/january']);
assert.equal(await store.get('reports/february', call), undefined);
// #endregion
await rm(folder, { recursive: true });

// #region s3
const bucket = retrying(
  s3Store({
    bucket: 'backups',
    region: 'eu-central-1',
    // Read at each request, so a rotated key is followed.
    credentials: { accessKeyId: 'secret://aws/backup#id', secretAccessKey: 'secret://aws/backup#key' },
  }),
  { maxAttempts: 5 },
);
assert.equal(bucket.capabilities.conditionalPut, 'match');
// #endregion
await bucket.close?.(call);
