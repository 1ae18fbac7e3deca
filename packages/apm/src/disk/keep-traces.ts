import type { Recoverable } from '@mnops/core/spi';
import type { LoadHistory } from '../analysis/forecast/load-history.js';
import type { ResolvedConfig } from '../config.js';
import { recoverableIdentity } from '../seams/recoverable-identity.js';
import type { SharedFigures } from '../snapshot/shared-figures.js';
import { joinTraces } from '../store/join-traces.js';
import { matchesQuery, type TraceQuery } from '../store/trace-query.js';
import type { HeldTrace, TraceRing } from '../store/trace-ring.js';
import type { KeptFolder, KeptFolderOptions } from './kept-folder.js';

/**
 * Opens the kept folder of a manager; `undefined` without `folder`. Only now is the code for it loaded. What the ring holds
 * already is written, too.
 */
export async function openKeptFolder(
  config: ResolvedConfig,
  ring: TraceRing,
  shared: SharedFigures,
  history: LoadHistory | undefined,
  host: Pick<KeptFolderOptions, 'settle' | 'damaged' | 'failed' | 'recovered' | 'degrade' | 'recover'>,
): Promise<KeptFolder | undefined> {
  const { folder, store, clock, analysis } = config;
  if (folder === undefined) return undefined;
  const { KeptFolder } = await import('./kept-folder.js');
  const kept = new KeptFolder({
    ...host,
    folder,
    maxDiskBytes: store.maxDiskBytes,
    maxAgeMs: store.maxAgeMs,
    clock,
    shared: analysis === undefined ? undefined : shared,
    history,
    find: (traceId) => ring.get(traceId),
  });
  for (const { traceId } of ring.newestFirst()) kept.traces.seen(traceId, clock.monotonic());
  await kept.start();
  return kept;
}

/** The seam by which a manager's folder is backed up; loaded when it is used. */
export function recoverableOf(config: ResolvedConfig, ring: TraceRing, flush: () => Promise<void>): Recoverable {
  const load = async (): Promise<Recoverable> => {
    const { folderRecoverable } = await import('../seams/recoverable.js');
    return folderRecoverable({
      folder: config.folder,
      flush,
      lastChangeMs: () => {
        const newest = ring.newestFirst()[Symbol.iterator]().next();
        return newest.done === true ? undefined : newest.value.endMs;
      },
    });
  };
  return {
    ...recoverableIdentity,
    snapshot: async (...all) => await (await load()).snapshot(...all),
    restore: async (...all) => await (await load()).restore(...all),
    verify: async (...all) => await (await load()).verify(...all),
  };
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
  if (here === undefined || there === undefined) return here ?? there;
  return joinTraces(here, there);
}

/** Traces that match: first those in memory, then those on disk. */
export async function* matchingTraces(
  ring: TraceRing,
  kept: KeptFolder | undefined,
  query: TraceQuery,
  signal?: AbortSignal,
): AsyncIterable<HeldTrace> {
  let left = query.limit ?? 100;
  /** What may come a second time, from disk, when it has left memory meanwhile. */
  const given = new Set<string>();
  for (const held of ring.newestFirst()) {
    if (left <= 0) return;
    signal?.throwIfAborted();
    if (!matchesQuery(held, query)) continue;
    left -= 1;
    if (kept !== undefined) given.add(held.traceId);
    yield held;
  }
  if (kept === undefined || left <= 0) return;
  const range = {
    fromMs: query.from?.getTime() ?? Number.NEGATIVE_INFINITY,
    toMs: query.to?.getTime() ?? Number.POSITIVE_INFINITY,
    error: query.error,
  };
  for await (const trace of kept.traces.newestFirst(range, signal)) {
    // What is in memory had its turn; what left it before it had is only on disk now.
    if (!matchesQuery(trace, query) || given.has(trace.traceId) || ring.get(trace.traceId) !== undefined) continue;
    left -= 1;
    yield trace;
    if (left <= 0) return;
  }
}
