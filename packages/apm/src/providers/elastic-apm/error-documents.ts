import type { Span } from '@mnops/core/spi';
import { cut, named } from '../../encoding/plain-text.js';
import { transactionTypeOf } from './span-types.js';

const maxKeyword = 1_024;
const maxText = 10_000;
const maxFrames = 50;

/** An error document for each exception that a span recorded. */
export function errorDocuments(
  span: Span,
  root: Span | undefined,
  foreign: { readonly service: object } | undefined,
): readonly object[] {
  const exceptions = span.events.filter(({ name }) => name === 'exception');
  return exceptions.map(({ attributes, timeUnixNano }, index) => {
    const type = named(attributes['exception.type']);
    const message = named(attributes['exception.message']);
    const stack = named(attributes['exception.stacktrace']);
    const frames = stack === undefined ? [] : framesOf(stack);
    const escaped = attributes['exception.escaped'];
    return {
      // The same exception keeps its id when it is sent again.
      id: `${span.spanId}${index.toString(16).padStart(16, '0')}`,
      trace_id: span.traceId,
      parent_id: span.spanId,
      timestamp: Number(timeUnixNano / 1_000n),
      ...(root === undefined
        ? {}
        : { transaction_id: root.spanId, transaction: { sampled: true, type: transactionTypeOf(root) } }),
      ...(foreign === undefined ? {} : { context: foreign }),
      exception: {
        message: cut(message ?? type ?? 'unknown', maxText),
        ...(type === undefined ? {} : { type: cut(type, maxKeyword) }),
        handled: !(escaped === true || escaped === 'true'),
        ...(frames.length === 0 ? {} : { stacktrace: frames }),
      },
    };
  });
}

/** The frames of a stack as V8 prints them. */
function framesOf(stack: string): readonly object[] {
  const frames: object[] = [];
  for (const line of stack.slice(0, 100_000).split('\n')) {
    const match = /^\s*at (?:(.{1,500}?) \()?(.{1,1000}?):(\d{1,9}):(\d{1,9})\)?$/.exec(line);
    if (match === null || frames.length === maxFrames) continue;
    const [, name, path = '', row, column] = match;
    frames.push({
      ...(name === undefined ? {} : { function: name }),
      abs_path: path,
      filename: path.replace(/^.*[/\\]/, '') || path,
      lineno: Number(row),
      colno: Number(column),
      library_frame: /node_modules|^node:/.test(path),
    });
  }
  return frames;
}
