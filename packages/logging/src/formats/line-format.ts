import type { NewLogEntry } from '@mnops/core/spi';
import { entryOfOwnLine } from '../parse/own-line.js';
import { ecsLine } from './ecs.js';
import { prettyLine } from './pretty.js';

/** Makes the text of an entry, without the line's end. */
export type LogFormatter = (entry: NewLogEntry) => string;

/**
 * How lines of a sink look: `otel` is JSON with OpenTelemetry's field names, `ecs` JSON with Elastic's, `pretty` text for
 * a person.
 */
export type LogFormat = 'otel' | 'ecs' | 'pretty' | LogFormatter;

/** Turns this package's own lines into a format; `undefined` for `otel`, which they have already. */
export function lineFormatter(format: LogFormat, colors: boolean): ((line: string) => string) | undefined {
  if (format === 'otel') return undefined;
  const render = format === 'ecs' ? ecsLine : format === 'pretty' ? prettyLine(colors) : format;
  return (line) => {
    try {
      const entry = entryOfOwnLine(JSON.parse(line) as Readonly<Record<string, unknown>>);
      return entry === undefined ? line : `${render(entry)}\n`;
    } catch {
      // A formatter of the user's failed: the entry is not lost for it.
      return line;
    }
  };
}
