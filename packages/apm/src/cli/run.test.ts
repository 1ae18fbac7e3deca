import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Span } from '@mnops/core/spi';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
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
  const terminal: { -readonly [Key in keyof Terminal]: Terminal[Key] } = {
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
    terminal.width = 100;
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
    expect(await cli('traces', folder)).toBe(4);
    expect(told).toContain(`${folder} is not the folder of a PerformanceMonitoringManager, but ${data} is`);
  });

  it('says what is wrong with a source that is none', async () => {
    const empty = join(folder, 'empty');
    const other = join(folder, 'other');
    await mkdir(empty);
    await mkdir(other);
    await writeFile(join(other, 'notes.txt'), 'nothing');
    const refused = async (source: string, text: string): Promise<void> => {
      expect(await cli('traces', source)).toBe(4);
      expect(told).toContain(text);
      expect(told).toContain('Give the `folder` of a PerformanceMonitoringManager, or a file of OTLP JSON');
    };
    await refused(empty, `The folder ${empty} is empty.`);
    await refused(other, `${other} is not the folder of a PerformanceMonitoringManager: it has no folder traces`);
    await refused(join(other, 'notes.txt'), 'is no OTLP JSON');
    for (const text of ['{"resourceMetrics":[]}', '{"data":[{"traceID":"a"}]}\n{"data":[]}', '{\n"a": 1\n}']) {
      await writeFile(file, text);
      await refused(file, `${file} is no OTLP JSON of traces`);
    }
    await writeFile(file, '\n');
    expect(await cli('traces', file)).toBe(3);
    expect(told).toBe(`${file} is empty.\nNo trace found.\n`);
    await writeFile(file, '{"resourceSpans":[]}');
    expect(await cli('traces', file)).toBe(3);
    expect(told).toBe('No trace found.\n');
  });

  it('shows the baselines of a file over all of its hours, and those of one hour with --at', async () => {
    const later = (spans: readonly Span[]): Span[] =>
      spans.map((span) => ({
        ...span,
        traceId: `ffff${span.traceId.slice(4)}`,
        startTimeUnixNano: span.startTimeUnixNano + 3_600_000_000_000n,
      }));
    await writeFile(file, [...before, ...after, ...before.map(later)].map(request).join('\n'));
    const now = vi.spyOn(Date, 'now').mockReturnValue(changedAt.getTime());
    try {
      expect(await cli('baselines', file, '--service', 'catalog')).toBe(0);
      expect(out).toMatch(/catalog {2}GET \/items +120 /);
      expect(out).not.toContain('hour');
      expect(await cli('baselines', file, '--service', 'catalog', '--at', changedAt.toISOString())).toBe(0);
      expect(out).toMatch(/catalog {2}GET \/items +80 .* hour of week$/m);
    } finally {
      now.mockRestore();
    }
  });

  it('refuses options that a command does not obey, and numbers that it cannot', async () => {
    expect(await cli('map', file, '--errors', '--limit', '3')).toBe(2);
    expect(told).toBe('map takes no --limit, --errors. Try mnops-apm --help.\n');
    expect(await cli('traces', file, '--at', '2030-01-31')).toBe(2);
    expect(told).toBe('traces takes no --at. Try mnops-apm --help.\n');
    for (const limit of ['0', '1.5']) {
      expect(await cli('traces', file, '--limit', limit)).toBe(2);
      expect(told).toBe('--limit is not a whole number of at least 1. Try mnops-apm --help.\n');
    }
    expect(await cli('traces', file, file)).toBe(2);
    expect(told).toBe('One source at a time. Usage: mnops-apm traces <source>. Try mnops-apm --help.\n');
  });

  it('shows nothing that a terminal would obey, in lines or as JSON, and cuts what is too long', async () => {
    const evil = `x\u001b[2J\u009b2J\u202e${'n'.repeat(5_000)}`;
    const trace = oneTrace.map((span) => ({ ...span, name: evil, resource: { 'service.name': evil } }));
    await writeFile(file, request(trace));
    const id = oneTrace[0]?.traceId ?? '';
    for (const words of [
      ['traces', file],
      ['trace', file, id],
      ['baselines', file],
      ['map', file],
    ]) {
      expect(await cli(...words)).toBe(0);
      expect(out).not.toMatch(/[\u001b\u009b\u202e]/);
      for (const line of out.split('\n')) expect(line.length).toBeLessThanOrEqual(100);
      expect(await cli(...words, '--json')).toBe(0);
      expect(out).not.toMatch(/[\u001b\u009b\u202e]/);
      expect(JSON.stringify(JSON.parse(out))).toContain(JSON.stringify(evil).slice(1, -1));
    }
    const path = join(folder, 'no\u001b[2Jne');
    expect(await cli('traces', path)).toBe(4);
    expect(told).not.toContain('\u001b');
  });

  it('answers in JSON also when nothing is found', async () => {
    await writeFile(file, '{"resourceSpans":[]}');
    const answers = { traces: [], baselines: [], map: { services: [], dependencies: [] } };
    for (const [command, answer] of Object.entries(answers)) {
      expect(await cli(command, file, '--json')).toBe(3);
      expect(JSON.parse(out)).toEqual(answer);
    }
    expect(await cli('trace', file, 'abcd', '--json')).toBe(3);
    expect(JSON.parse(out)).toBeNull();
    expect(await cli('cause', file, '--at', '2030-01-31', '--json')).toBe(3);
    expect(JSON.parse(out)).toMatchObject({ verdict: 'none', candidates: [] });
  });

  it('keeps lines within narrow terminals, and whole where no terminal is', async () => {
    for (const width of [40, 60, 80, 200]) {
      terminal.width = width;
      expect(await cli('traces', file)).toBe(0);
      for (const line of out.split('\n')) expect(line.length).toBeLessThanOrEqual(width);
      if (width >= 60) expect(out).toContain('spans  GET /');
      expect(await cli('trace', file, out.slice(0, 8))).toBe(0);
      expect(await cli('baselines', file)).toBe(0);
      for (const line of out.split('\n')) expect(line.length).toBeLessThanOrEqual(Math.max(width, 56));
      expect(out).toContain('gateway  GET /');
    }
    terminal.width = undefined;
    expect(await cli('traces', file)).toBe(0);
    expect(out).toMatch(/^[0-9a-f]{32} {2}2023-\S+Z .* GET \/ {2}gateway, catalog$/m);
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
    expect(told).toBe(
      'There is no such command; there are traces, trace, baselines, map, cause. Try mnops-apm --help.\n',
    );
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
