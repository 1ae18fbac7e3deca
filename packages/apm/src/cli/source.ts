import { createReadStream } from 'node:fs';
import { cp, mkdtemp, rm, stat } from 'node:fs/promises';
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

/** Opens a folder, a file or standard input. Nothing is changed in it. */
export async function openSource(source: string, terminal: Terminal): Promise<OpenedSource> {
  if (source !== '-' && (await stat(source)).isDirectory()) return await openFolder(source, terminal);
  const apm = managerOf(undefined);
  let rejected = 0;
  const take = async (text: string): Promise<void> => {
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
async function openFolder(source: string, terminal: Terminal): Promise<OpenedSource> {
  const folder = await mkdtemp(join(tmpdir(), 'mnops-apm-'));
  const remove = async (): Promise<void> => await rm(folder, { recursive: true, force: true });
  try {
    for (const part of ['traces', 'numbers']) {
      await cp(join(source, part), join(folder, part), { recursive: true }).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOENT') throw error;
      });
    }
    const apm = managerOf(folder);
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

function managerOf(folder: string | undefined): PerformanceMonitoringManager {
  return new PerformanceMonitoringManager({
    service: 'mnops-apm',
    registerGlobals: false,
    traceOperations: false,
    folder,
    spool: false,
    // What a file holds stays in memory; of a folder, the disk has it.
    store: folder === undefined ? { maxTraces: 1_000_000, maxBytes: 1_073_741_824 } : { maxAgeMs: 3.2e10 },
    analysis: { anomalies: false },
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
  if (failure !== undefined) throw apmError('MNOPS_APM_SPANS_INVALID', `${name} is no OTLP JSON: ${failure}`);
}

const notTried = '';

/** What is wrong with a request that cannot be read; other failures go on. */
function invalidOr(error: unknown): string {
  if (MnopsError.is(error, 'MNOPS_APM_SPANS_INVALID')) return error.message;
  throw error;
}
