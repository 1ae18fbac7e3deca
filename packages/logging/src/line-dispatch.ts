import { type LogFormat, lineFormatter } from './formats/line-format.js';
import type { LineSink, OpenSink, SinkContext } from './sinks/sink.js';

/** Lines that a sink gave up, and whether it works. */
export interface SinkStats {
  readonly queuedBytes: number;
  readonly failing: boolean;
  /** Lines given up because the limit was reached. */
  readonly dropped: number;
}

/** What the dispatch tells its owner. */
export interface DispatchEvents {
  failed(sink: string, error: unknown): void;
  recovered(sink: string): void;
  dropped(sink: string, lines: number, reason: 'queue-full'): void;
}

/** What takes lines beside the sinks. */
export interface LineTarget {
  push(line: string): void;
}

interface OpenedSink {
  readonly id: string;
  readonly sink: OpenSink;
}

/** Hands finished lines to the sinks and the store; before the start it holds them. */
export class LineDispatch {
  readonly #sinks: readonly LineSink[];
  readonly #format: LogFormat | undefined;
  readonly #maxQueueBytes: number;
  readonly #events: DispatchEvents;
  readonly #opened: OpenedSink[] = [];
  readonly #dropped = new Map<string, number>();
  #targets: readonly LineTarget[] | undefined;
  #held: string[] = [];
  #heldCharacters = 0;
  #heldForStore = false;
  #lost = 0;
  #closed = false;

  constructor(
    sinks: readonly LineSink[],
    format: LogFormat | undefined,
    maxQueueBytes: number,
    events: DispatchEvents,
  ) {
    this.#sinks = sinks;
    this.#format = format;
    this.#maxQueueBytes = maxQueueBytes;
    this.#events = events;
  }

  /** Lines given up: before the start over the limit, or after the stop. */
  get lost(): number {
    return this.#lost;
  }

  readonly emit = (line: string): void => {
    const targets = this.#targets;
    if (targets === undefined) {
      this.#hold(line);
      return;
    }
    for (let index = 0; index < targets.length; index += 1) targets[index]?.push(line);
  };

  #hold(line: string): void {
    if (this.#closed) {
      this.#lost += 1;
      return;
    }
    this.#held.push(line);
    this.#heldCharacters += line.length;
    if (this.#heldCharacters <= this.#maxQueueBytes) return;
    // Half at once: shifting lines one by one would cost more the more there are.
    const gone = this.#held.splice(0, Math.ceil(this.#held.length / 2));
    this.#heldCharacters = this.#held.reduce((sum, each) => sum + each.length, 0);
    this.#lost += gone.length;
  }

  /** Opens the sinks that are not open yet. Throws what a sink throws. */
  openSinks(): void {
    for (const sink of this.#sinks.slice(this.#opened.length)) {
      const opened = { id: sink.id, sink: sink.open(this.#contextOf(sink.id)) };
      this.#opened.push(opened);
    }
  }

  #contextOf(id: string): SinkContext {
    return {
      maxQueueBytes: this.#maxQueueBytes,
      events: {
        failed: (error) => this.#events.failed(id, error),
        recovered: () => this.#events.recovered(id),
        dropped: (lines) => {
          this.#dropped.set(id, (this.#dropped.get(id) ?? 0) + lines);
          this.#events.dropped(id, lines, 'queue-full');
        },
      },
    };
  }

  /** Lines go to the sinks and the store from now on, those held first. */
  connect(store: LineTarget | undefined): void {
    const sinks = this.#heldForStore ? [] : this.#sinkTargets();
    const targets = store === undefined ? this.#sinkTargets() : [...this.#sinkTargets(), store];
    const held = this.#held;
    this.#held = [];
    this.#heldCharacters = 0;
    for (const line of held) {
      for (const sink of sinks) sink.push(line);
      store?.push(line);
    }
    this.#heldForStore = false;
    this.#targets = targets;
  }

  /** The store is away for a while: sinks go on, and what the store misses is held for it. */
  disconnectStore(): void {
    const sinks = this.#sinkTargets();
    this.#heldForStore = true;
    this.#targets = [...sinks, { push: (line) => this.#hold(line) }];
  }

  #sinkTargets(): LineTarget[] {
    return this.#opened.map(({ sink }, index) => {
      const { format = this.#format ?? 'otel', colors = false } = this.#sinks[index] ?? {};
      const render = lineFormatter(format, colors);
      return render === undefined ? sink : { push: (line) => sink.push(render(line)) };
    });
  }

  flushNow(): void {
    for (const { sink } of this.#opened) sink.flushNow();
  }

  /** Writes everything before it returns, lines held before the start included. For a process that ends. */
  drainNow(waitMs: number, store: LineTarget | undefined): void {
    if (this.#targets === undefined && !this.#closed) {
      this.openSinks();
      this.connect(store);
    }
    for (const { sink } of this.#opened) sink.drainNow(waitMs);
  }

  /** What was handed on is durable; resolves with the ids of sinks that did not take everything. */
  async sync(): Promise<string[]> {
    const failed: string[] = [];
    for (const { id, sink } of this.#opened) {
      await sink.sync();
      if (sink.failing || sink.queuedBytes > 0) failed.push(id);
    }
    return failed;
  }

  stats(): Record<string, SinkStats> {
    return Object.fromEntries(
      this.#opened.map(({ id, sink: { queuedBytes, failing } }) => [
        id,
        { queuedBytes, failing, dropped: this.#dropped.get(id) ?? 0 },
      ]),
    );
  }

  async close(): Promise<void> {
    this.#targets = undefined;
    this.#closed = true;
    for (const { sink } of this.#opened) await sink.close();
  }
}
