import type { LogFormat } from '../formats/line-format.js';
import type { TurnWriterEvents } from '../logger/turn-writer.js';

/** What a sink is opened with. */
export interface SinkContext {
  /** Bytes of lines that are kept while the sink does not take any. */
  readonly maxQueueBytes: number;
  readonly events: TurnWriterEvents;
}

/** A sink that takes lines. */
export interface OpenSink {
  /** Takes a line with its terminator; it is handed on at the end of the turn. */
  push(line: string): void;
  /** Hands on what was taken before it returns, as far as the other end takes it. */
  flushNow(): void;
  /** As `flushNow`, trying again for at most `waitMs` while the other end is busy. For the end of a process. */
  drainNow(waitMs: number): void;
  /** What was handed on before is as durable as the sink can make it. */
  sync(): Promise<void>;
  close(): Promise<void>;
  readonly queuedBytes: number;
  readonly failing: boolean;
}

/** Where the lines of loggers go. */
export interface LineSink {
  readonly kind: 'line-sink';
  /** Short name, for statistics and events. */
  readonly id: string;
  /** How its lines look. Default: the host's `format`, else `otel`. */
  readonly format?: LogFormat | undefined;
  /** Whether `pretty` lines are coloured. */
  readonly colors?: boolean | undefined;
  /** Opens it, before it returns: also a process that is about to end can do that. */
  open(context: SinkContext): OpenSink;
}
