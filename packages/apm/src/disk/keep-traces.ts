import type { Recoverable } from '@mnops/core/spi';
import type { ResolvedConfig } from '../config.js';
import { folderRecoverable } from '../seams/recoverable.js';
import type { SharedFigures } from '../snapshot/shared-figures.js';
import { matchesQuery, type TraceQuery } from '../store/trace-query.js';
import type { HeldTrace, TraceRing } from '../store/trace-ring.js';
import { KeptFolder, type KeptFolderOptions } from './kept-folder.js';
import { joined } from './trace-keeper.js';

/** The kept folder of a manager; `undefined` without `folder`. */
export function keptFolder(
  config: ResolvedConfig,
  ring: TraceRing,
  shared: SharedFigures,
  host: Pick<KeptFolderOptions, 'settle' | 'damaged' | 'degrade' | 'recover'>,
): KeptFolder | undefined {
  const { folder, store, clock, analysis } = config;
  if (folder === undefined) return undefined;
  return new KeptFolder({
    ...host,
    folder,
    maxDiskBytes: store.maxDiskBytes,
    maxAgeMs: store.maxAgeMs,
    clock,
    shared: analysis === undefined ? undefined : shared,
    find: (traceId) => ring.get(traceId),
  });
}

/** The seam by which a manager's folder is backed up. */
export function recoverableOf(config: ResolvedConfig, ring: TraceRing, kept: KeptFolder | undefined): Recoverable {
  return folderRecoverable({
    folder: config.folder,
    flush: async () => await kept?.flush(),
    lastChangeMs: () => {
      const newest = ring.newestFirst()[Symbol.iterator]().next();
      return newest.done === true ? undefined : newest.value.endMs;
    },
  });
}

/** One trace, from memory and disk. */
export async function findTrace(
  ring: TraceRing,
  kept: KeptFolder | undefined,
  traceId: string,
  signal?: AbortSignal,
): Promise<HeldTrace | undefined> {
  const held = ring.get(traceId);
  if (kept === undefined) return held;
  const here = held === undefined ? undefined : { ...held, spans: held.spans };
  const there = await kept.traces.get(traceId, signal);
  return here !== undefined && there !== undefined ? joined(here, there) : (here ?? there);
}

/** Traces that match: first those in memory, then those on disk. */
export async function* matchingTraces(
  ring: TraceRing,
  kept: KeptFolder | undefined,
  query: TraceQuery,
  signal?: AbortSignal,
): AsyncIterable<HeldTrace> {
  let left = query.limit ?? 100;
  for (const held of ring.newestFirst()) {
    if (left <= 0) return;
    signal?.throwIfAborted();
    if (!matchesQuery(held, query)) continue;
    left -= 1;
    yield held;
  }
  if (kept === undefined || left <= 0) return;
  const range = {
    fromMs: query.from?.getTime() ?? Number.NEGATIVE_INFINITY,
    toMs: query.to?.getTime() ?? Number.POSITIVE_INFINITY,
    error: query.error,
  };
  for await (const trace of kept.traces.newestFirst(range, signal)) {
    // What is in memory had its turn; what left it meanwhile is only on disk now.
    if (!matchesQuery(trace, query) || ring.get(trace.traceId) !== undefined) continue;
    left -= 1;
    yield trace;
    if (left <= 0) return;
  }
}
