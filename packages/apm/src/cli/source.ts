import { createReadStream } from 'node:fs';
import { cp, mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { PerformanceMonitoringManager } from '../performance-monitoring-manager.js';
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
  if (source === '-') await requests(linesOf(await terminal.read()), take);
  else await requests(createInterface({ input: createReadStream(source), crlfDelay: Number.POSITIVE_INFINITY }), take);
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

/** One request on each line, or one over all of them. */
async function requests(
  lines: Iterable<string> | AsyncIterable<string>,
  take: (text: string) => Promise<void>,
): Promise<void> {
  let pending = '';
  for await (const line of lines) {
    if (line.trim() === '') continue;
    // A line that is a whole object is a request; else the request goes over lines.
    const whole = pending === '' && line.startsWith('{') && line.trimEnd().endsWith('}');
    if (whole) await take(line);
    else pending += `${line}\n`;
  }
  if (pending !== '') await take(pending);
}
