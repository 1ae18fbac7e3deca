import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const base = await mkdtemp(join(tmpdir(), 'mnops-snippet-'));
const store = new Map([['a', 1]]);

// #region source
import type { Recoverable } from '@mnops/core/spi';
import { DisasterRecoveryManager } from '@mnops/dr';

const counters: Recoverable = {
  specVersion: 1,
  kind: 'recoverable',
  id: 'counters',
  capabilities: { pointInTime: 'snapshot', isolatedRestore: false, inPlace: true },
  async snapshot(sink) {
    const text = Buffer.from(JSON.stringify([...store]));
    await sink.addStream(
      { path: 'counters.json', size: text.length },
      (async function* () {
        yield text;
      })(),
    );
    return { lastChangeMs: Date.now() };
  },
  async restore(from) {
    const parts: Uint8Array[] = [];
    for await (const part of from.read('counters.json')) parts.push(part);
    const entries = JSON.parse(Buffer.concat(parts).toString()) as [string, number][];
    store.clear();
    for (const [name, value] of entries) store.set(name, value);
    return { files: 1, bytes: Buffer.concat(parts).length };
  },
  verify: async () => [],
};

const dr = new DisasterRecoveryManager({ key: 'a passphrase', sources: [counters], folder: base });
dr.on('backup:progressed', ({ source, files, bytes }) => console.log(source, files, bytes));
await dr.backup();
store.set('a', 99);
await dr.restore({ target: { inPlace: true } });
// #endregion
assert.equal(store.get('a'), 1);
await dr.stop();
await rm(join(base), { recursive: true });
