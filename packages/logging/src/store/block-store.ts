import type {
  Call,
  Clock,
  JsonValue,
  LogEntry,
  LogSearchResult,
  LogStore,
  LogStoreBatch,
  LogStoreQuery,
  NewLogEntry,
  StorageDamage,
} from '@mnops/core/spi';
import { type Matcher, matcherOf } from '../query/matcher.js';
import { pageOf } from '../query/position.js';
import { followStore } from './follow.js';
import { scanUnits, type Unit, unitsOfBlock, unitsOfPayloads } from './segment.js';
import { storeReader } from './store-reader.js';
import { openStoreWriter, type StoreWriter, type StoreWriterEvents } from './store-writer.js';

/** A store that the logger writes lines to without waiting. */
export interface LineStore extends LogStore {
  /** Takes a line of this package; it is kept at the end of the turn. */
  push(line: string): void;
  /** Hands over what was pushed before it returns. */
  flushNow(): void;
  /** What was pushed or appended before is as durable as the store can make it. */
  sync(): Promise<void>;
  readonly failing: boolean;
  readonly queuedBytes: number;
  /** When the last line or entry was taken, epoch milliseconds. */
  readonly lastWriteMs: number | undefined;
  close(): Promise<void>;
}

/** A block store on disk. */
export interface BlockStore extends LineStore {
  /** This process's part. */
  readonly writer: StoreWriter;
  /** Seals everything that is open. */
  sealNow(): Promise<void>;
}

/** How a block store is opened. */
export interface BlockStoreOptions {
  readonly folder: string;
  readonly clock: Clock;
  readonly blockBytes: number;
  readonly maxQueueBytes: number;
  /** Makes the line of an entry. */
  readonly encode: (entry: NewLogEntry) => string;
  readonly events: Omit<StoreWriterEvents, 'arrived'>;
}

/** Written lines are synced after this time at the latest. */
const syncMs = 200;

function notify(listeners: ReadonlySet<() => void>): void {
  for (const listener of listeners) listener();
}

/** Opens the store in a folder, making it when it is not there. */
export async function openBlockStore(options: BlockStoreOptions): Promise<BlockStore> {
  const { folder, clock, events, encode } = options;
  const listeners = new Set<() => void>();
  let lastWriteMs: number | undefined;
  const told = new Set<string>();
  const damaged = (damage: StorageDamage): void => {
    const name = `${damage.file}:${damage.offset}:${damage.records}`;
    if (told.has(name)) return;
    if (told.size < 10_000) told.add(name);
    events.damaged(damage);
  };
  const writer = await openStoreWriter({
    ...options,
    syncMs,
    events: {
      ...events,
      // Told through here, so that searches say they are partial.
      damaged,
      arrived: () => {
        lastWriteMs = clock.now();
        notify(listeners);
      },
    },
  });
  const reader = storeReader(folder, writer, damaged);
  const views = await reader.view().catch(async (error: unknown) => {
    // Nobody gets this store, so nobody else gives its folder and handles up.
    await reader.close();
    await writer.close();
    throw error;
  });
  const own = views.find((view) => view.writer === writer.writer);
  writer.startAt(Math.max(0, ...(own?.blocks ?? []).map((block) => block.header.nextSequence)));

  async function unitsOf(matcher: Matcher): Promise<Unit[]> {
    const views = await reader.view();
    return views.flatMap(({ writer: name, blocks, payloads }) => [
      ...blocks.flatMap((block) => unitsOfBlock(block, name, matcher)),
      ...unitsOfPayloads(payloads, name, matcher),
    ]);
  }

  async function search(query: LogStoreQuery, call: Call): Promise<LogSearchResult> {
    const started = clock.monotonic();
    writer.writeTurn();
    const matcher = matcherOf(query);
    const page = pageOf(query);
    const scan = await scanUnits(await unitsOf(matcher), matcher, page, {
      newestFirst: query.sort === 'newest-first',
      maxBytes: query.maxScanBytes,
      signal: call.signal,
    });
    scan.damage.forEach(damaged);
    const { entries, next } = page.result();
    return {
      entries,
      next,
      partial: [
        ...(scan.limited ? (['scan-limit'] as const) : []),
        ...(scan.damage.length > 0 || told.size > 0 ? (['storage-damaged'] as const) : []),
      ],
      scannedBytes: scan.scannedBytes,
      tookMs: clock.monotonic() - started,
    };
  }

  return {
    specVersion: 1,
    kind: 'log-store',
    id: 'block-store',
    capabilities: { durable: true, followsOthers: true },
    writer,
    push: (line) => writer.push(line),
    flushNow: () => writer.writeTurn(),
    sync: async () => {
      writer.writeTurn();
      await writer.sync();
    },
    sealNow: () => writer.sealNow(),
    get failing() {
      return writer.failing;
    },
    get queuedBytes() {
      return writer.queuedBytes;
    },
    get lastWriteMs() {
      return lastWriteMs;
    },
    append: ({ entries, checkpoint }: LogStoreBatch) => {
      const kept = checkpoint && { ...checkpoint, savedMs: clock.now() };
      return writer.append(entries.map(encode).join(''), entries.length, kept);
    },
    checkpoint: async (source): Promise<JsonValue | undefined> => (await reader.checkpoint(source))?.value,
    search,
    follow: (query, call): AsyncIterable<LogEntry> =>
      followStore({ reader, matcher: matcherOf(query), clock, signal: call.signal, listeners, damaged }),
    async close() {
      await reader.close();
      await writer.close();
    },
  };
}
