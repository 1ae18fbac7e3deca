import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

// #region config
import { loadConfig } from '@mnops/core/config';
import * as v from 'valibot';

const folder = await mkdtemp(join(tmpdir(), 'mnops-snippet-'));
const file = join(folder, 'shop.yaml');
await writeFile(file, 'server:\n  port: 8080\n');
const environment = { SHOP_SERVER__MAX_BYTES: '65536' };

const schema = v.strictObject({
  server: v.strictObject({ port: v.number(), maxBytes: v.optional(v.number(), 1_048_576) }),
});

const { value, provenance } = await loadConfig({
  name: 'shop',
  schema,
  files: [file],
  environment: { prefix: 'SHOP_', source: environment }, // source: process.env unless given
});
assert.deepEqual(value, { server: { port: 8080, maxBytes: 65_536 } });
assert.equal(provenance['server.maxBytes'], 'environment SHOP_SERVER__MAX_BYTES');
// #endregion
await rm(folder, { recursive: true });
