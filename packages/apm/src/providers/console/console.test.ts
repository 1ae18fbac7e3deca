import { testCall, traceExporterContract } from '@mnops/core/testing';
import { describe, expect, it, vi } from 'vitest';
import { batchOf } from '../../delivery/span-queue.js';
import { spanOf } from '../../testing/spans.js';
import { consoleExporter } from './index.js';

/** A stream that keeps what is written. */
function collector(): { readonly texts: string[]; write(text: string): void } {
  const texts: string[] = [];
  return { texts, write: (text) => void texts.push(text) };
}

for (const format of ['tree', 'json'] as const) {
  traceExporterContract({ describe, it }, `console ${format}`, async () => ({
    provider: consoleExporter({ format, stream: collector() }),
  }));
}

const request = [
  spanOf({
    service: 'api',
    id: 'b',
    parent: 'a',
    name: 'SELECT',
    kind: 'client',
    startMs: 1_700_000_000_002,
    durationMs: 3,
  }),
  spanOf({
    service: 'api',
    id: 'c',
    parent: 'b',
    name: 'parse\nrow',
    startMs: 1_700_000_000_003,
    durationMs: 1,
    error: true,
  }),
  spanOf({
    service: 'api',
    id: 'a',
    name: 'GET /items',
    kind: 'server',
    attributes: { 'http.response.status_code': 200, note: 'two words', tags: ['x', 'y'] },
  }),
] as const;

describe('consoleExporter', () => {
  it('prints the tree of each trace, one line per span', async () => {
    const stream = collector();
    const other = spanOf({ service: 'job', trace: '2', id: 'd', parent: 'e', name: 'clean up' });
    await consoleExporter({ stream }).export(batchOf([...request, other]), testCall());
    expect(stream.texts.join('').split('\n')).toEqual([
      'trace 00000000000000000000000000000001',
      '  10.000 ms GET /items [api server] http.response.status_code=200 note="two words" tags="[\\"x\\",\\"y\\"]"',
      '    3.000 ms SELECT [api client]',
      '      1.000 ms parse\\nrow [api internal] ERROR',
      'trace 00000000000000000000000000000002',
      '  10.000 ms clean up [job internal]',
      '',
    ]);
  });

  it('prints every span of a ring of parents once', async () => {
    const stream = collector();
    const ring = [spanOf({ id: 'a', parent: 'b' }), spanOf({ id: 'b', parent: 'a' }), spanOf({ id: 'c', parent: 'c' })];
    await consoleExporter({ stream }).export(batchOf(ring), testCall());
    expect(stream.texts.join('').trim().split('\n')).toHaveLength(4);
  });

  it('prints one line of JSON per span', async () => {
    const stream = collector();
    const span = { ...request[1], startTimeUnixNano: 1_700_000_000_944_999_937n };
    await consoleExporter({ stream, format: 'json' }).export(batchOf([span]), testCall());
    expect(JSON.parse(stream.texts.join(''))).toMatchObject({
      time: '2023-11-14T22:13:20.944999937Z',
      spanId: '000000000000000c',
      parentSpanId: '000000000000000b',
      service: 'api',
      name: 'parse\nrow',
      durationMs: 1,
      status: { code: 'error' },
    });
    expect(stream.texts.join('').match(/\n/g)).toHaveLength(1);
  });

  it('writes to standard output unless told otherwise', async () => {
    const write = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
    try {
      await consoleExporter().export(batchOf([request[0]]), testCall());
      expect(write).toHaveBeenCalledTimes(1);
    } finally {
      write.mockRestore();
    }
  });

  it('refuses wrong options by name', () => {
    expect(() => consoleExporter({ format: 'xml' as never })).toThrow('format');
    expect(() => consoleExporter({ stream: {} as never })).toThrow('stream');
  });
});
