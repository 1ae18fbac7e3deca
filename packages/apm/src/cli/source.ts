import { createReadStream, type Dirent } from 'node:fs';
import { cp, mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { MnopsError } from '@mnops/core';
import { apmError } from '../codes.js';
import { PerformanceMonitoringManager } from '../index.js';
import { decodeOtlpJson } from '../providers/otlp/decode.js';
import type { Terminal } from './terminal.js';

/** What a source has, and what to do when it is not needed any more. */
export interface OpenedSource {
  /** It records nothing itself and delivers nothing. */
  readonly apm: PerformanceMonitoringManager;
  close(): Promise<void>;
}

/** How a source is opened. */
export interface SourceOptions {
  /** Whether baselines are those of all hours together, instead of one. */
  readonly everyHour: boolean;
}

/** Opens a folder, a file or standard input. Nothing is changed in it. */
export async function openSource(source: string, terminal: Terminal, options: SourceOptions): Promise<OpenedSource> {
  if (source !== '-' && (await stat(source)).isDirectory()) return await openFolder(source, terminal, options);
  const apm = managerOf(undefined, options);
  let rejected = 0;
  const take = async (text: string): Promise<void> => {
    if (!spansField.test(text)) throw apmError('MNOPS_APM_SPANS_INVALID', withoutSpans(text));
    const decoded = decodeOtlpJson(text);
    const report = await apm.ingest(decoded.spans);
    rejected += decoded.rejected + report.rejected;
  };
  const tell = (text: string): void => terminal.tell(text);
  if (source === '-') await requests('standard input', linesOf(await terminal.read()), take, tell);
  else {
    const lines = createInterface({ input: createReadStream(source), crlfDelay: Number.POSITIVE_INFINITY });
    await requests(source, lines, take, tell);
  }
  if (rejected > 0) terminal.tell(`${rejected} spans could not be used.`);
  return { apm, close: async () => void (await apm.stop()) };
}

/** A copy is opened: a manager mends and removes files of its folder, and the program that owns it may be running. */
async function openFolder(source: string, terminal: Terminal, options: SourceOptions): Promise<OpenedSource> {
  await checkFolder(source);
  const folder = await mkdtemp(join(tmpdir(), 'mnops-apm-'));
  const remove = async (): Promise<void> => await rm(folder, { recursive: true, force: true });
  try {
    for (const part of keptParts) {
      await cp(join(source, part), join(folder, part), { recursive: true }).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOENT') throw error;
      });
    }
    const apm = managerOf(folder, options);
    apm.on('storage:damaged', ({ file, records }) => terminal.tell(`${file} is damaged: ${records} records are lost.`));
    await apm.start();
    return {
      apm,
      close: async () => {
        await apm.stop();
        await remove();
      },
    };
  } catch (error) {
    await remove();
    throw error;
  }
}

const remedy =
  'Give the `folder` of a PerformanceMonitoringManager, or a file of OTLP JSON, such as the file exporter of the OpenTelemetry Collector writes.';

/** @throws {MnopsError} `MNOPS_APM_SPANS_INVALID` for a folder that no manager wrote. */
async function checkFolder(source: string): Promise<void> {
  const entries = await readdir(source, { withFileTypes: true });
  if (isKept(entries)) return;
  const refuse = (message: string): never => {
    throw apmError('MNOPS_APM_SPANS_INVALID', message, { remedy });
  };
  if (entries.length === 0) refuse(`The folder ${source} is empty.`);
  const none = `${source} is not the folder of a PerformanceMonitoringManager`;
  for (const entry of entries.filter((each) => each.isDirectory()).slice(0, 100)) {
    const below = join(source, entry.name);
    if (isKept(await readdir(below, { withFileTypes: true }).catch(() => []))) refuse(`${none}, but ${below} is.`);
  }
  refuse(`${none}: it has no folder ${keptParts.join(' and no folder ')}.`);
}

/** Folders in the folder of a manager. */
const keptParts = ['traces', 'numbers'];

function isKept(entries: readonly Dirent[]): boolean {
  return entries.some((entry) => entry.isDirectory() && keptParts.includes(entry.name));
}

function managerOf(folder: string | undefined, { everyHour }: SourceOptions): PerformanceMonitoringManager {
  return new PerformanceMonitoringManager({
    service: 'mnops-apm',
    registerGlobals: false,
    traceOperations: false,
    folder,
    spool: false,
    // What a file holds stays in memory; of a folder, the disk has it.
    store: folder === undefined ? { maxTraces: 1_000_000, maxBytes: 1_073_741_824 } : { maxAgeMs: 3.2e10 },
    // No hour has so many spans, so baselines are made of all hours.
    analysis: { anomalies: false, ...(everyHour ? { minSamples: Number.MAX_SAFE_INTEGER } : {}) },
  });
}

function linesOf(text: string): string[] {
  return text.split(/\r?\n/);
}

/**
 * One request on each line, or one over all of them. Once a line was a request, each is: one that cannot be read, such as
 * the last one of a file that is being written, is told of and passed over.
 *
 * @throws {MnopsError} `MNOPS_APM_SPANS_INVALID` when no request can be read.
 */
async function requests(
  name: string,
  lines: Iterable<string> | AsyncIterable<string>,
  take: (text: string) => Promise<void>,
  tell: (text: string) => void,
): Promise<void> {
  let pending = '';
  let number = 0;
  let taken = 0;
  for await (const line of lines) {
    number += 1;
    if (line.trim() === '') continue;
    // What else begins so may be a part of one request that goes over lines.
    const isRequest = /^\{.*resource_?spans.*\}\s*$/i.test(line);
    const failure = isRequest || taken > 0 ? await take(line).catch(invalidOr) : notTried;
    if (failure === undefined) {
      if (pending !== '') tell(`What is before line ${number} of ${name} is passed over: it is no request.`);
      pending = '';
      taken += 1;
    } else if (taken > 0) tell(`Line ${number} of ${name} is passed over: ${failure}`);
    else pending += `${line}\n`;
  }
  const failure = pending === '' ? undefined : await take(pending).catch(invalidOr);
  if (failure !== undefined) {
    throw apmError('MNOPS_APM_SPANS_INVALID', `${name} is no OTLP JSON of traces: ${failure}`, { remedy });
  }
  if (pending === '' && taken === 0) tell(`${name} is empty.`);
}

const spansField = /"resource_?spans"/i;

/** What is wrong with text that does not name the one field that a request has. */
function withoutSpans(text: string): string {
  const isJson = /^\s*[[{]/.test(text) && /[\]}]\s*$/.test(text);
  return isJson ? 'it has no field `resourceSpans`.' : 'it is no JSON.';
}

const notTried = '';

/** What is wrong with a request that cannot be read; other failures go on. */
function invalidOr(error: unknown): string {
  if (MnopsError.is(error, 'MNOPS_APM_SPANS_INVALID')) return error.message;
  throw error;
}
