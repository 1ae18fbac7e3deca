import type { Call, JsonValue, ServiceIdentity, Spi } from './base.js';

/** One line or message as it came, before parsing. */
export interface LogFrame {
  /** The line without its terminator. */
  readonly bytes: Uint8Array | string;
  /** When the source saw it, epoch milliseconds. */
  readonly timeMs?: number | undefined;
  readonly channel?: 'stdout' | 'stderr' | undefined;
  /** True when the line goes on in the next frame of the stream. */
  readonly partial?: boolean | undefined;
  readonly attributes?: Readonly<Record<string, JsonValue>> | undefined;
}

/** Some frames of one stream, in order. */
export interface LogBatch {
  /** Stable name of the stream, such as `catalog/catalog-2/stdout`; order holds within it. */
  readonly stream: string;
  /** Who wrote the lines. */
  readonly identity?: ServiceIdentity | undefined;
  readonly frames: readonly LogFrame[];
  /** Position after this batch, to resume from; opaque. */
  readonly checkpoint?: JsonValue | undefined;
}

/** Where log lines come from. */
export interface LogSource extends Spi<'log-source'> {
  readonly capabilities: {
    readonly scope: 'container' | 'pod' | 'node' | 'application' | 'service' | 'system';
    /** `exact`: a checkpoint resumes without loss or repetition. */
    readonly resume: 'exact' | 'second' | 'none';
  };
  /** Batches from the checkpoint on (from the beginning without one), ending only when the call is aborted. */
  read(from: { readonly checkpoint?: JsonValue | undefined }, call: Call): AsyncIterable<LogBatch>;
}
