import type { Call, Clock, LogBatch, LogFrame, LogSource } from '@mnops/core/spi';
import type { LogRecord } from '../analysis/root-cause/inputs.js';
import type { Loaded, LoadTimes } from './load-times.js';
import { readLine } from './read-line.js';
import { reasonOf } from './reason.js';

/** A source that says nothing for so long has no more lines now: it goes on for ever otherwise. */
const idleMs = 1_000;
const maxLines = 100_000;
const maxReadBytes = 256 * 1_024 * 1_024;
const maxLineCharacters = 65_536;

/** Reads a stream of lines from its beginning to what there is now, and keeps those of the time that is looked at. */
export function logSourceLoading(
  source: LogSource,
  { fromMs, toMs }: LoadTimes,
  clock: Clock,
): { readonly run: (call: Call) => Promise<void>; readonly loaded: () => Loaded<LogRecord> } {
  const kept = new KeptLines(fromMs, toMs);
  const notes = new Set<string>();
  const read = async (call: Call): Promise<void> => {
    const batches = source.read({}, call)[Symbol.asyncIterator]();
    try {
      for (;;) {
        const batch = await nextWithin(batches, clock, call.signal);
        // What comes after the deadline would change what is compared by now.
        call.signal.throwIfAborted();
        if (batch === undefined) return;
        kept.take(batch);
        if (kept.isFull) {
          notes.add(`Log source ${source.id} has more lines than are read.`);
          return;
        }
      }
    } finally {
      // Not awaited: a source may be waiting for its next line, and ends by the signal.
      void Promise.resolve(batches.return?.()).catch(() => undefined);
    }
  };
  return {
    run: async (call) => {
      const ending = new AbortController();
      const signal = AbortSignal.any([call.signal, ending.signal]);
      try {
        await read({ ...call, signal });
      } catch (error) {
        if (call.signal.aborted) throw call.signal.reason;
        notes.add(`Log source ${source.id} did not answer: ${reasonOf(error)}.`);
      } finally {
        ending.abort();
      }
    },
    loaded: () => {
      if (kept.withoutTime > 0) notes.add(`${kept.withoutTime} lines of ${source.id} say no time.`);
      return { items: kept.records, notes: [...notes] };
    },
  };
}

/** The next batch; `undefined` at the end, or when none comes for a while. */
async function nextWithin(
  batches: AsyncIterator<LogBatch>,
  clock: Clock,
  signal: AbortSignal,
): Promise<LogBatch | undefined> {
  signal.throwIfAborted();
  const next = batches.next();
  next.catch(() => undefined);
  let cancel = (): void => undefined;
  const idle = new Promise<undefined>((resolve) => {
    const timer = clock.setTimer(idleMs, () => resolve(undefined), { hold: true });
    cancel = () => timer.cancel();
  });
  try {
    const step = await Promise.race([next, idle]);
    return step === undefined || step.done === true ? undefined : step.value;
  } finally {
    cancel();
  }
}

/** Lines of the time that is looked at, as records. */
class KeptLines {
  readonly records: LogRecord[] = [];
  withoutTime = 0;
  #readBytes = 0;
  readonly #fromMs: number;
  readonly #toMs: number;
  /** Beginnings of lines that go on in the next frame, by stream. */
  readonly #begun = new Map<string, string>();
  /** Time of the last line by stream: a line that says none came after it. */
  readonly #lastMs = new Map<string, number>();

  constructor(fromMs: number, toMs: number) {
    this.#fromMs = fromMs;
    this.#toMs = toMs;
  }

  get isFull(): boolean {
    return this.records.length >= maxLines || this.#readBytes >= maxReadBytes;
  }

  take({ stream, identity, frames }: LogBatch): void {
    const service = identity?.name ?? stream.split('/', 1)[0] ?? stream;
    for (const frame of frames) {
      if (this.isFull) return;
      const line = this.#lineOf(stream, frame);
      if (line !== undefined) this.#keep(service, stream, line, frame.timeMs);
    }
  }

  #lineOf(stream: string, { bytes, partial }: LogFrame): string | undefined {
    this.#readBytes += bytes.length;
    const text = typeof bytes === 'string' ? bytes : Buffer.from(bytes).toString('utf8');
    const line = ((this.#begun.get(stream) ?? '') + text).slice(0, maxLineCharacters);
    if (partial === true) this.#begun.set(stream, line);
    else this.#begun.delete(stream);
    return partial === true ? undefined : line;
  }

  #keep(service: string, stream: string, line: string, seenMs: number | undefined): void {
    if (line === '') return;
    const { atMs: said, ...rest } = readLine(line);
    const atMs = said ?? seenMs ?? this.#lastMs.get(stream);
    if (atMs === undefined) {
      this.withoutTime += 1;
      return;
    }
    this.#lastMs.set(stream, atMs);
    if (atMs >= this.#fromMs && atMs < this.#toMs) this.records.push({ service, atMs, ...rest });
  }
}
