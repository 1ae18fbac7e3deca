import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Span } from '@mnops/core/spi';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { batchOf } from '../delivery/span-queue.js';
import { packageVersion } from '../package-version.js';
import { PerformanceMonitoringManager } from '../performance-monitoring-manager.js';
import { encodeOtlpJson } from '../testing/otlp-json-text.js';
import { slowCatalogTraces } from '../testing/slow-catalog.js';
import { run } from './run.js';
import type { Terminal } from './terminal.js';
import { usage } from './usage.js';

describe('mnops-apm', () => {
  let folder: string;
  let file: string;
  let input = '';
  let out = '';
  let told = '';
  const terminal: Terminal = {
    color: false,
    width: 100,
    read: async () => input,
    write: (text) => {
      out += text;
    },
    tell: (text) => {
      told += `${text}\n`;
    },
  };
  const cli = async (...args: string[]): Promise<number> => {
    out = '';
    told = '';
    return await run(args, terminal);
  };
  const request = (spans: readonly Span[]): string => encodeOtlpJson(batchOf(spans));
  const { before, after, changedAt } = slowCatalogTraces();
  const [oneTrace = []] = before;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'mnops-apm-cli-'));
    file = join(folder, 'spans.jsonl');
    await writeFile(file, [...before, ...after].map(request).join('\n'));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  it('lists traces, the slow or the failed ones, as lines or as JSON', async () => {
    expect(await cli('traces', file)).toBe(0);
    expect(out.trim().split('\n')).toHaveLength(20);
    expect(await cli('traces', file, '--min-ms', '200', '--limit', '1000')).toBe(0);
    expect(out.trim().split('\n')).toHaveLength(after.length);
    expect(await cli('traces', file, '--limit', '2', '--json')).toBe(0);
    expect(JSON.parse(out)).toMatchObject([{ spans: [{}, {}] }, { spans: [{}, {}] }]);
    expect(await cli('traces', file, '--errors')).toBe(3);
    expect(told).toBe('No trace found.\n');
  });

  it('shows one trace by its id, or the beginning of it', async () => {
    const id = oneTrace[0]?.traceId ?? '';
    expect(await cli('trace', file, id)).toBe(0);
    expect(out).toMatch(/^trace [0-9a-f]{32} .*\nGET \/ {2}gateway .*\n└─ GET \/items {2}catalog /);
    const whole = out;
    expect(await cli('trace', file, id.slice(0, 8))).toBe(0);
    expect(out).toBe(whole);
    expect(await cli('trace', file, 'ffff')).toBe(3);
    expect(await cli('trace', file, '../x')).toBe(2);
  });

  it('wants more of an id that several traces begin with', async () => {
    const twin = oneTrace.map((span) => ({
      ...span,
      traceId: `${span.traceId.slice(0, 31)}${span.traceId.endsWith('0') ? 1 : 0}`,
    }));
    await writeFile(file, [oneTrace, twin].map(request).join('\n'));
    const begin = (oneTrace[0]?.traceId ?? '').slice(0, 30);
    expect(await cli('trace', file, begin)).toBe(2);
    expect(told).toContain(`More than one trace begins with ${begin}`);
  });

  it('shows baselines, the map, and the cause of a change', async () => {
    expect(await cli('baselines', file, '--service', 'catalog')).toBe(0);
    expect(out).toMatch(/catalog {2}GET \/items +80 /);
    expect(await cli('map', file)).toBe(0);
    expect(out).toContain('gateway  80 handled');
    expect(await cli('cause', file, '--at', changedAt.toISOString())).toBe(0);
    expect(out).toMatch(/^Most likely first .*\n1\. catalog/);
    expect(await cli('cause', file)).toBe(2);
    expect(told).toContain('--at');
  });

  it('reads standard input, and a request that goes over lines', async () => {
    input = JSON.stringify(JSON.parse(request(oneTrace)), null, 2);
    expect(await cli('traces', '-')).toBe(0);
    expect(out.trim().split('\n')).toHaveLength(1);
  });

  it('reads the folder of a manager that runs, and changes nothing in it', async () => {
    const data = join(folder, 'data');
    const apm = new PerformanceMonitoringManager({ service: 'shop', folder: data, registerGlobals: false });
    await apm.start();
    await apm.ingest([...before, ...after].flat());
    await apm.flush();
    const files = async (): Promise<string[]> => (await readdir(data, { recursive: true })).sort();
    const there = await files();
    expect(await cli('traces', data, '--min-ms', '200', '--limit', '1000')).toBe(0);
    expect(out.trim().split('\n')).toHaveLength(after.length);
    expect(await cli('trace', data, oneTrace[0]?.traceId ?? '')).toBe(0);
    expect(out).toContain('└─ GET /items  catalog');
    expect(await cli('baselines', data)).toBe(0);
    expect(out).toMatch(/catalog {2}GET \/items +80 /);
    expect(await cli('map', data)).toBe(0);
    expect(out).toContain('gateway  80 handled');
    expect(await cli('cause', data, '--at', changedAt.toISOString())).toBe(0);
    expect(out).toMatch(/\n1\. catalog/);
    expect(await files()).toEqual(there);
    await apm.stop();
    expect(await cli('traces', folder)).toBe(3);
  });

  it('says what is wrong with a command line or a source, and how to do it', async () => {
    expect(await cli()).toBe(2);
    expect(await cli('--help')).toBe(0);
    expect(out).toBe(usage);
    expect(await cli('--version')).toBe(0);
    expect(out).toBe(`${packageVersion}\n`);
    expect(await cli('traces', file, '--min-millis', '5')).toBe(2);
    expect(told).toBe("Unknown option '--min-millis'. Try mnops-apm --help.\n");
    expect(await cli('trace', file)).toBe(2);
    expect(told).toBe('Usage: mnops-apm trace <source> <id>. Try mnops-apm --help.\n');
    expect(await cli('trees', file)).toBe(2);
    expect(told).toBe('There is no such command; there are traces, trace, baselines, map, cause. Try mnops-apm --help.\n');
    expect(await cli('traces', file, '--min-ms', 'slow')).toBe(2);
    expect(await cli('traces', file, '--from', 'yesterday')).toBe(2);
    expect(await cli('traces', join(folder, 'none'))).toBe(4);
    expect(told).toContain('There is no file or folder');
    await writeFile(file, '{"cut');
    expect(await cli('traces', file)).toBe(4);
    expect(told).toContain('MNOPS_APM_SPANS_INVALID');
    expect(told).toContain(`${file} is no OTLP JSON`);
  });

  it('shows what can be read of a file of which a part cannot, and names the line', async () => {
    const lines = before.slice(0, 3).map(request);
    const last = lines[2]?.slice(0, -60) ?? '';
    for (const [text, shown, note] of [
      [[lines[0], lines[1], last], 2, `Line 3 of ${file} is passed over`],
      [[lines[0], 'oops', lines[2]], 2, `Line 2 of ${file} is passed over`],
      [[last, '{"resourceSpans": 1}', lines[1], lines[2]], 2, `What is before line 3 of ${file} is passed over`],
    ] as const) {
      await writeFile(file, text.join('\n'));
      expect(await cli('traces', file)).toBe(0);
      expect(out.trim().split('\n')).toHaveLength(shown);
      expect(told).toContain(note);
    }
    const pretty = JSON.stringify(JSON.parse(lines[0] ?? ''), null, 2);
    await writeFile(file, pretty);
    expect(await cli('traces', file)).toBe(0);
    expect(told).toBe('');
  });
});
