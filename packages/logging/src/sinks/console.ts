import { isatty } from 'node:tty';
import { parseOptions } from '@mnops/core/config';
import * as v from 'valibot';
import type { LogFormat } from '../formats/line-format.js';
import { descriptorWriter, turnWriter } from '../logger/turn-writer.js';
import { formatSchema } from './format-schema.js';
import type { LineSink } from './sink.js';

/** How lines are written to the console. */
export interface ConsoleSinkOptions {
  /** Default `stdout`. */
  readonly stream?: 'stdout' | 'stderr' | undefined;
  /** Default: the host's, else `pretty` on a terminal and `otel` otherwise. */
  readonly format?: LogFormat | undefined;
  /** Default: on a terminal, unless the variable `NO_COLOR` is set. */
  readonly colors?: boolean | undefined;
}

const schema = v.strictObject({
  stream: v.optional(v.picklist(['stdout', 'stderr'])),
  format: v.optional(formatSchema),
  colors: v.optional(v.boolean()),
});

/**
 * Writes lines to standard output or standard error with one system call per turn. A slow reader of a pipe delays
 * nothing: what it does not take is kept, up to the limit, and written later.
 */
export function consoleSink(options: ConsoleSinkOptions = {}): LineSink {
  const { stream = 'stdout', format, colors } = parseOptions('consoleSink', schema, options);
  const descriptor = stream === 'stdout' ? 1 : 2;
  const terminal = isatty(descriptor);
  return {
    kind: 'line-sink',
    id: stream,
    format: (format as LogFormat | undefined) ?? (terminal ? 'pretty' : undefined),
    colors: colors ?? (terminal && (process.env['NO_COLOR'] ?? '') === ''),
    open({ maxQueueBytes, events }) {
      const writer = turnWriter({ write: descriptorWriter(() => descriptor), maxQueueBytes, events });
      return {
        push: (line) => writer.push(line),
        flushNow: () => writer.flushNow(),
        drainNow: (waitMs) => writer.drainNow(waitMs),
        sync: async () => writer.flushNow(),
        close: async () => writer.drainNow(1000),
        get queuedBytes() {
          return writer.queuedBytes;
        },
        get failing() {
          return writer.failing;
        },
      };
    },
  };
}
