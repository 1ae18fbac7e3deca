import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

// #region envelope
import { callOf } from '@mnops/core';
import {
  keyFile,
  keyRing,
  openEnvelope,
  openStream,
  passphraseKey,
  rewrapEnvelope,
  sealEnvelope,
  sealStream,
} from '@mnops/core/crypto';

const folder = await mkdtemp(join(tmpdir(), 'mnops-snippet-'));

const call = callOf();
const old = passphraseKey({ passphrase: 'correct horse battery staple' });

// Sealed with a data key of its own, bound to where it belongs.
const envelope = await sealEnvelope(old, Buffer.from('hunter2'), ['vault-1', 'db/password', 3], call);
assert.equal(Buffer.from(await openEnvelope(old, envelope, ['vault-1', 'db/password', 3], call)).toString(), 'hunter2');
await assert.rejects(openEnvelope(old, envelope, ['vault-1', 'db/other', 3], call), { code: 'MNOPS_CORE_INTEGRITY' });

// Another key: the new one seals, the old one still opens, and envelopes move over without being opened.
const next = keyFile({ file: join(folder, 'key'), create: true });
const ring = keyRing(next, [old]);
const moved = await rewrapEnvelope(ring, next, envelope, call);
assert.equal(Buffer.from(await openEnvelope(next, moved, ['vault-1', 'db/password', 3], call)).toString(), 'hunter2');
// #endregion

// #region stream
const key = randomBytes(32);
const sealed: Uint8Array[] = [];
for await (const piece of sealStream(key, ['backup', 7])([Buffer.from('any '), Buffer.from('length')]))
  sealed.push(piece);

const opened: Uint8Array[] = [];
for await (const piece of openStream(key, ['backup', 7])(sealed)) opened.push(piece);
assert.equal(Buffer.concat(opened).toString(), 'any length'); // whole: it would have thrown at a cut
// #endregion
await rm(folder, { recursive: true });
