import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
// #region lease
import { callOf } from '@mnops/core';
import { fileLease } from '@mnops/core/lease';

const folder = await mkdtemp(join(tmpdir(), 'mnops-snippet-'));

const lease = fileLease({ folder });
const call = callOf();

const held = await lease.acquire('nightly-report', { ttlMs: 30_000, owner: 'replica-1' }, call);
assert.ok(held, 'free');
assert.equal(await lease.acquire('nightly-report', { ttlMs: 30_000, owner: 'replica-2' }, call), undefined);

assert.equal(held.signal.aborted, false); // work while this holds; it ends before anybody else can get the lease
assert.equal(held.token, 1n); // grows with each holder: let what you write to refuse a smaller one
await held.renew(call);
await held.release(call);
// #endregion
await rm(folder, { recursive: true });
