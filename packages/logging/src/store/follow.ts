import type { Clock, LogEntry, StorageDamage } from '@mnops/core/spi';
import type { Matcher } from '../query/matcher.js';
import { positionOf } from '../query/position.js';
import { readPayload, unitsOfBlock } from './segment.js';
import type { StoreReader, WriterView } from './store-reader.js';

/** What following needs. */
export interface FollowOptions {
  readonly reader: Pick<StoreReader, 'view'>;
  readonly matcher: Matcher;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Functions that are called when this process wrote something. */
  readonly listeners: Set<() => void>;
  readonly damaged: (damage: StorageDamage) => void;
}

/** How often the folders of other processes are looked at. */
const pollMs = 250;

/** Matching entries that arrive from now on, each once, in the order in which each writer wrote them. */
export async function* followStore(options: FollowOptions): AsyncGenerator<LogEntry, void> {
  const { reader, signal } = options;
  let arrived = true;
  let wake = (): void => undefined;
  const listener = (): void => {
    arrived = true;
    wake();
  };
  options.listeners.add(listener);
  try {
    const seen = new Map<string, number>();
    for (const view of await reader.view()) seen.set(view.writer, endOf(view));
    while (!signal.aborted) {
      arrived = false;
      for (const view of await reader.view()) {
        yield* newEntries(view, seen.get(view.writer) ?? 0, options);
        seen.set(view.writer, Math.max(endOf(view), seen.get(view.writer) ?? 0));
        if (signal.aborted) return;
      }
      if (!arrived) await waitForMore(options, (run) => (wake = run));
    }
  } finally {
    options.listeners.delete(listener);
  }
}

async function waitForMore({ clock, signal }: FollowOptions, onWake: (run: () => void) => void): Promise<void> {
  await new Promise<void>((resolve) => {
    const timer = clock.setTimer(pollMs, done, { hold: true });
    function done(): void {
      timer.cancel();
      signal.removeEventListener('abort', done);
      resolve();
    }
    signal.addEventListener('abort', done, { once: true });
    onWake(done);
    if (signal.aborted) done();
  });
}

/** Number after the last entry of a writer. */
function endOf({ blocks, payloads }: WriterView): number {
  let end = 0;
  for (const { header } of blocks) end = Math.max(end, header.nextSequence);
  for (const { firstSequence, count } of payloads) end = Math.max(end, firstSequence + count);
  return end;
}

async function* newEntries(view: WriterView, from: number, options: FollowOptions): AsyncGenerator<LogEntry, void> {
  const { writer, blocks, payloads } = view;
  for (const block of blocks) {
    if (block.header.nextSequence <= from) continue;
    const chunks = block.chunks.filter((chunk) => chunk.firstSequence + chunk.count > from);
    for (const unit of unitsOfBlock({ ...block, chunks }, writer, options.matcher)) {
      const found: LogEntry[] = [];
      const damage = await unit.read(options.matcher, (entry) => found.push(entry));
      if (damage !== undefined) options.damaged(damage);
      yield* found.filter((entry) => positionOf(entry).sequence >= from);
    }
  }
  for (const payload of payloads) {
    if (payload.firstSequence + payload.count <= from) continue;
    const found: LogEntry[] = [];
    readPayload(payload, writer, options.matcher, (entry) => found.push(entry));
    yield* found.filter((entry) => positionOf(entry).sequence >= from);
  }
}
