import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { PerformanceMonitoringManager } from '../performance-monitoring-manager.js';
import { decodeOtlpJson } from '../providers/otlp/decode.js';
import type { Terminal } from './terminal.js';

/** A manager that holds what a source has. It records nothing itself and delivers nothing. */
export async function openSource(source: string, terminal: Terminal): Promise<PerformanceMonitoringManager> {
  const apm = new PerformanceMonitoringManager({
    service: 'mnops-apm',
    registerGlobals: false,
    store: { maxTraces: 1_000_000, maxBytes: 1_073_741_824 },
    analysis: { anomalies: false },
  });
  let rejected = 0;
  const take = async (text: string): Promise<void> => {
    const decoded = decodeOtlpJson(text);
    const report = await apm.ingest(decoded.spans);
    rejected += decoded.rejected + report.rejected;
  };
  if (source === '-') await requests(linesOf(await terminal.read()), take);
  else await requests(createInterface({ input: createReadStream(source), crlfDelay: Number.POSITIVE_INFINITY }), take);
  if (rejected > 0) terminal.tell(`${rejected} spans could not be used.`);
  return apm;
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
