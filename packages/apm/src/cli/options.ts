import { parseArgs } from 'node:util';

/** Everything that the command line can say. */
export interface CliOptions {
  readonly words: readonly string[];
  readonly service: string | undefined;
  readonly operation: string | undefined;
  readonly minMs: number | undefined;
  readonly limit: number | undefined;
  readonly from: Date | undefined;
  readonly to: Date | undefined;
  readonly at: Date | undefined;
  readonly errors: boolean;
  readonly json: boolean;
  readonly color: boolean | undefined;
  readonly help: boolean;
}

/** A command line that cannot be understood, in words for a person. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** Whether an error is about the command line. */
export function isUsageError(error: unknown): error is UsageError {
  return error instanceof Error && error.name === 'UsageError';
}

const texts = ['service', 'operation', 'min-ms', 'limit', 'from', 'to', 'at'] as const;
const flags = ['errors', 'json', 'color', 'no-color', 'help'] as const;

/** @throws {UsageError} For an unknown option, and for a number or time that is none. */
export function readOptions(args: readonly string[]): CliOptions {
  const options = Object.fromEntries([
    ...texts.map((name) => [name, { type: 'string' as const }]),
    ...flags.map((name) => [name, { type: 'boolean' as const }]),
  ]);
  let values: Readonly<Record<string, unknown>>;
  let words: readonly string[];
  try {
    const parsed = parseArgs({ args: [...args], options, allowPositionals: true, strict: true });
    values = parsed.values;
    words = parsed.positionals;
  } catch (error) {
    throw new UsageError(error instanceof Error ? (error.message.split('. ', 1)[0] ?? '') : 'Unknown option');
  }
  const text = (name: (typeof texts)[number]): string | undefined => values[name] as string | undefined;
  const flag = (name: (typeof flags)[number]): boolean => values[name] === true;
  return {
    words,
    service: text('service'),
    operation: text('operation'),
    minMs: numberOf('min-ms', text('min-ms')),
    limit: numberOf('limit', text('limit')),
    from: timeOf('from', text('from')),
    to: timeOf('to', text('to')),
    at: timeOf('at', text('at')),
    errors: flag('errors'),
    json: flag('json'),
    color: flag('color') ? true : flag('no-color') ? false : undefined,
    help: flag('help'),
  };
}

function numberOf(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value) || value < 0) throw new UsageError(`--${name} is not a number`);
  return value;
}

function timeOf(name: string, text: string | undefined): Date | undefined {
  if (text === undefined) return undefined;
  const value = new Date(text);
  if (Number.isNaN(value.getTime())) throw new UsageError(`--${name} is not a time, such as 2030-01-31T12:00:00Z`);
  return value;
}
