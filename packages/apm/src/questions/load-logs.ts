import { untilAborted } from '@mnops/core';
import type { Call, LogEntry, LogSearch, LogStoreQuery } from '@mnops/core/spi';
import type { LogRecord } from '../analysis/root-cause/inputs.js';
import type { Loaded, LoadTimes } from './load-times.js';
import { reasonOf } from './reason.js';

/** Lines at most on each side of the time, those next to it. */
const maxLinesOfSide = 50_000;
const pageLines = 5_000;
/** Bytes of kept entries that one page may cost. */
const maxScanBytes = 256 * 1_024 * 1_024;

/** Reads the entries around the time of the trouble, page by page. The records are filled as they come. */
export function logSearchLoading(
  source: LogSearch,
  { fromMs, atMs, toMs }: LoadTimes,
): { readonly run: (call: Call) => Promise<void>; readonly loaded: () => Loaded<LogRecord> } {
  const items: LogRecord[] = [];
  const notes = new Set<string>();
  const side = async (range: Pick<LogStoreQuery, 'fromMs' | 'toMs' | 'sort'>, call: Call): Promise<void> => {
    let after: string | undefined;
    let taken = 0;
    do {
      call.signal.throwIfAborted();
      const limit = Math.min(pageLines, maxLinesOfSide - taken);
      const page = await untilAborted(source.search({ ...range, limit, maxScanBytes, after }, call), call.signal);
      for (const entry of page.entries.slice(0, limit)) items.push(recordOf(entry));
      taken += page.entries.length;
      for (const reason of page.partial) notes.add(`Lines of ${source.id} may be missing: ${reason}.`);
      // A page without entries ends it, so that a source whose cursor never ends does not hold this up.
      after = page.entries.length === 0 ? undefined : page.next;
    } while (after !== undefined && taken < maxLinesOfSide);
    if (after !== undefined) notes.add(`Of the lines of ${source.id} the ${maxLinesOfSide} next to the time count.`);
  };
  return {
    run: async (call) => {
      try {
        await side({ fromMs: atMs, toMs, sort: 'oldest-first' }, call);
        await side({ fromMs, toMs: atMs, sort: 'newest-first' }, call);
      } catch (error) {
        if (call.signal.aborted) throw call.signal.reason;
        notes.add(`Log search ${source.id} did not answer: ${reasonOf(error)}.`);
      }
    },
    loaded: () => ({ items, notes: [...notes] }),
  };
}

function recordOf({ timeMs, level, message, resource, stream, traceId, spanId }: LogEntry): LogRecord {
  const named = resource['service.name'];
  const service = typeof named === 'string' && named !== '' ? named : (stream.split('/', 1)[0] ?? stream);
  return { service, atMs: timeMs, message, level, traceId, spanId };
}
