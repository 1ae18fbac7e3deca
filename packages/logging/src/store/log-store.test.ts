import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '@mnops/core';
import { logStoreContract } from '@mnops/core/testing';
import { describe, it } from 'vitest';
import { loggerCore } from '../logger/logger-core.js';
import { type BlockStore, openBlockStore } from './block-store.js';
import { memoryStore } from './memory-store.js';

const clock = systemClock();
const { encode } = loggerCore({}, { name: 'test' }, clock, () => undefined);

logStoreContract({ describe, it }, 'memory', async () => {
  const provider = memoryStore({ clock, maxBytes: 1 << 20, encode });
  return { provider, close: () => provider.close() };
});

for (const [name, blockBytes] of [
  ['open', 1 << 20],
  ['sealed at once', 1],
] as const) {
  logStoreContract({ describe, it }, `folder, ${name}`, async () => {
    const folder = await mkdtemp(join(tmpdir(), 'mnops-store-'));
    const opened: BlockStore[] = [];
    const ignore = (): void => undefined;
    const events = { damaged: ignore, failed: ignore, recovered: ignore, dropped: ignore };
    const open = async (): Promise<BlockStore> => {
      const store = await openBlockStore({ folder, clock, blockBytes, maxQueueBytes: 1 << 20, encode, events });
      opened.push(store);
      return store;
    };
    const provider = await open();
    return {
      provider,
      async reopen() {
        await provider.close();
        return open();
      },
      async close() {
        for (const store of opened) await store.close();
        await rm(folder, { recursive: true, force: true });
      },
    };
  });
}
