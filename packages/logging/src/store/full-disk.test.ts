import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '@mnops/core';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { LogAggregationManager } from '../index.js';
import { loggerCore } from '../logger/logger-core.js';
import { openBlockStore } from './block-store.js';
import * as openSegments from './open-segment.js';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mnops-full-'));
});

afterEach(async () => {
  vi.resetAllMocks();
  await rm(folder, { recursive: true, force: true });
});

vi.mock('./open-segment.js', { spy: true });

function fillDisk(): void {
  const full = (): never => {
    throw Object.assign(new Error('no space'), { code: 'ENOSPC' });
  };
  vi.mocked(openSegments.appendPayload).mockImplementation(full);
}

it('counts and tells at the stop what a full disk did not take', async () => {
  const logs = new LogAggregationManager({ service: 's', folder, sinks: [] });
  const dropped: unknown[] = [];
  logs.on('lines:dropped', (each) => dropped.push(each));
  await logs.start();
  logs.logger('a').info('kept');
  await logs.flush();
  fillDisk();
  for (let index = 0; index < 7; index += 1) logs.logger('a').info('lost', { index });
  await expect(logs.flush()).rejects.toMatchObject({ code: 'MNOPS_LOGGING_STORE_FAILED' });
  expect(logs.stats().lost).toBe(0);
  await logs.stop().catch(() => undefined);
  expect(logs.stats()).toMatchObject({ lost: 7, store: { queuedBytes: 0 } });
  expect(dropped).toEqual([{ from: 'store', lines: 7, reason: 'stopped' }]);
});

it('gives the folder up when the last block cannot be sealed, and what is open stays', async () => {
  const clock = systemClock();
  const { encode } = loggerCore({}, { name: 'test' }, clock, () => undefined);
  const failures: unknown[] = [];
  const ignore = (): void => undefined;
  const events = {
    damaged: ignore,
    failed: (error: unknown) => failures.push(error),
    recovered: ignore,
    dropped: ignore,
  };
  const options = { folder, clock, blockBytes: 400, maxQueueBytes: 1 << 20, encode, events };
  const store = await openBlockStore(options);
  store.push(`{"body":"${'x'.repeat(100)}"}\n`);
  store.flushNow();
  vi.mocked(openSegments.openSegment).mockRejectedValue(new Error('no space'));
  await store.close();
  expect(failures).toHaveLength(1);
  vi.resetAllMocks();
  const next = await openBlockStore(options);
  expect(next.writer.writer).toBe(store.writer.writer);
  expect(next.writer.nextSequence).toBe(1);
  await next.close();
});
