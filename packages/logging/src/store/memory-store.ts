import type { Call, Clock, LogEntry, LogSearchResult, LogStoreQuery, NewLogEntry } from '@mnops/core/spi';
import { matcherOf } from '../query/matcher.js';
import { pageOf } from '../query/position.js';
import type { LineStore } from './block-store.js';
import { followStore } from './follow.js';
import type { Checkpoint, Payload } from './payload.js';
import { scanUnits, unitsOfPayloads } from './segment.js';

/** How a memory store is made. */
export interface MemoryStoreOptions {
  readonly clock: Clock;
  /** Bytes of lines that are kept; the oldest go first. */
  readonly maxBytes: number;
  readonly encode: (entry: NewLogEntry) => string;
}

const writer = 'memory';
/** Lines that are kept and dropped together. */
const payloadCharacters = 16_384;

/** A store in memory: what a host without a folder has. */
export function memoryStore({ clock, maxBytes, encode }: MemoryStoreOptions): LineStore {
  const payloads: Payload[] = [];
  const checkpoints = new Map<string, Checkpoint>();
  const listeners = new Set<() => void>();
  let turn = '';
  let turnLines = 0;
  let scheduled = false;
  let nextSequence = 0;
  let bytes = 0;

  function add(lines: string, count: number): void {
    if (count === 0) return;
    const payload: Payload = { firstSequence: nextSequence, count, lines: Buffer.from(lines) };
    nextSequence += count;
    payloads.push(payload);
    bytes += payload.lines.length;
    while (bytes > maxBytes && payloads.length > 1) bytes -= payloads.shift()?.lines.length ?? 0;
    for (const listener of listeners) listener();
  }

  function flushNow(): void {
    const lines = turn;
    const count = turnLines;
    turn = '';
    turnLines = 0;
    add(lines, count);
  }

  async function search(query: LogStoreQuery, call: Call): Promise<LogSearchResult> {
    const started = clock.monotonic();
    flushNow();
    const matcher = matcherOf(query);
    const page = pageOf(query);
    const scan = await scanUnits(unitsOfPayloads(payloads, writer, matcher), matcher, page, {
      newestFirst: query.sort === 'newest-first',
      maxBytes: query.maxScanBytes,
      signal: call.signal,
    });
    return {
      ...page.result(),
      partial: scan.limited ? ['scan-limit'] : [],
      scannedBytes: scan.scannedBytes,
      tookMs: clock.monotonic() - started,
    };
  }

  return {
    specVersion: 1,
    kind: 'log-store',
    id: 'memory-store',
    capabilities: { durable: false, followsOthers: false },
    failing: false,
    queuedBytes: 0,
    lastWriteMs: undefined,
    push(line) {
      turn += line;
      turnLines += 1;
      if (turn.length >= payloadCharacters) flushNow();
      else if (!scheduled) {
        scheduled = true;
        setImmediate(() => {
          scheduled = false;
          flushNow();
        });
      }
    },
    flushNow,
    sync: async () => flushNow(),
    async append({ entries, checkpoint }) {
      flushNow();
      add(entries.map(encode).join(''), entries.length);
      if (checkpoint !== undefined) checkpoints.set(checkpoint.source, { ...checkpoint, savedMs: clock.now() });
    },
    checkpoint: async (source) => checkpoints.get(source)?.value,
    search,
    follow: (query, call): AsyncIterable<LogEntry> =>
      followStore({
        reader: { view: async () => [{ writer, blocks: [], payloads: [...payloads] }] },
        matcher: matcherOf(query),
        clock,
        signal: call.signal,
        listeners,
        damaged: () => undefined,
      }),
    close: async () => flushNow(),
  };
}
