import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from '@mnops/core/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fileSink, LogAggregationManager } from '../index.js';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mnops-file-'));
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

describe('fileSink', () => {
  it('rotates by size between lines, keeps the files it was told to, and writes to the new one only', async () => {
    const path = join(folder, 'app.log');
    const logs = new LogAggregationManager({
      service: 's',
      store: false,
      sinks: [fileSink({ path, maxBytes: 1000, maxFiles: 2 })],
    });
    await logs.start();
    const logger = logs.logger('a');
    for (let index = 0; index < 60; index += 1) {
      logger.info('line', { index });
      await logs.flush();
    }
    await logs.stop();
    expect((await readdir(folder)).toSorted()).toEqual(['app.log', 'app.log.1', 'app.log.2']);
    const indexes: number[] = [];
    for (const name of ['app.log.2', 'app.log.1', 'app.log']) {
      const text = await readFile(join(folder, name), 'utf8');
      expect(text.length).toBeLessThan(1300);
      for (const line of text.trimEnd().split('\n'))
        indexes.push((JSON.parse(line) as { attributes: { index: number } }).attributes.index);
    }
    expect(indexes).toEqual(Array.from({ length: indexes.length }, (_, i) => 60 - indexes.length + i));
  });

  it('tells of a full disk, keeps the other sinks going, and loses nothing below the limit', async () => {
    const path = join(folder, 'app.log');
    const logs = new LogAggregationManager({
      service: 's',
      store: false,
      sinks: [fileSink({ path: '/dev/full' }), fileSink({ path })],
    });
    const failures: string[] = [];
    logs.on('sink:failed', ({ sink, error }) => failures.push(`${sink} ${(error.cause as { code: string }).code}`));
    await logs.start();
    for (let index = 0; index < 10; index += 1) logs.logger('a').info('line', { index });
    await expect(logs.flush()).rejects.toMatchObject({ code: 'MNOPS_LOGGING_SINK_FAILED' });
    expect(failures).toEqual(['file:/dev/full ENOSPC']);
    expect((await readFile(path, 'utf8')).trimEnd().split('\n')).toHaveLength(10);
    expect(logs.stats().sinks['file:/dev/full']).toMatchObject({ failing: true, dropped: 0 });
    expect(await logs.health()).toMatchObject({ status: 'degraded' });
    await eventually(async () => expect(logs.status).toBe('degraded'));
    await logs.stop();
  });
});
