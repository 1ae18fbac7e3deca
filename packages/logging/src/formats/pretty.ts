import type { JsonValue, LogLevel, NewLogEntry } from '@mnops/core/spi';

const colorOf: Readonly<Record<LogLevel, number>> = {
  error: 31,
  warn: 33,
  info: 32,
  http: 36,
  verbose: 35,
  debug: 34,
  silly: 90,
};

/** Makes text for a person: local time, level, logger, message, attributes; stacks on lines of their own. */
export function prettyLine(colors: boolean): (entry: NewLogEntry) => string {
  const paint = (code: number, text: string): string => (colors ? `\u001b[${code}m${text}\u001b[39m` : text);
  return (entry) => {
    const parts = [
      paint(90, timeOfDay(entry.timeMs)),
      paint(colorOf[entry.level], entry.level.toUpperCase().padEnd(7)),
    ];
    if (entry.logger !== undefined) parts.push(paint(36, harmless(entry.logger)));
    parts.push(harmless(entry.message));
    const stacks: string[] = [];
    for (const [key, value] of Object.entries(entry.attributes)) {
      const stack = stackOf(value);
      if (stack !== undefined) stacks.push(stack);
      else parts.push(paint(90, `${harmless(key)}=${harmless(textOf(value))}`));
    }
    if (entry.traceId !== undefined) parts.push(paint(90, `trace=${entry.traceId}`));
    return [parts.join(' '), ...stacks.map((stack) => paint(90, indent(harmless(stack))))].join('\n');
  };
}

function timeOfDay(timeMs: number): string {
  const time = new Date(timeMs);
  const two = (value: number): string => String(value).padStart(2, '0');
  const clock = `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`;
  return `${clock}.${String(time.getMilliseconds()).padStart(3, '0')}`;
}

/** The stack of an error with those of its causes. */
function stackOf(value: JsonValue): string | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const { stack, cause } = value as Readonly<Record<string, JsonValue>>;
  if (typeof stack !== 'string') return undefined;
  const below = cause === undefined ? undefined : (stackOf(cause) ?? textOf(cause));
  return below === undefined ? stack : `${stack}\nCaused by: ${below}`;
}

function textOf(value: JsonValue): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function indent(text: string): string {
  return text
    .split('\n')
    .map((line) => `  ${line}`)
    .join('\n');
}

/** Control characters in a value could steer the terminal: they are shown instead of sent. */
function harmless(text: string): string {
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, (character) => {
    return `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`;
  });
}
