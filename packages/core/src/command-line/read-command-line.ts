import { parseArgs } from 'node:util';
import { UsageError } from './usage-error.js';

/** Names of a program's options without their dashes, such as `min-ms`, by what they take. */
export interface OptionNames {
  readonly texts?: readonly string[] | undefined;
  /** Finite numbers of at least 0. */
  readonly numbers?: readonly string[] | undefined;
  /** Times with a zone, such as `2030-01-31T12:00:00Z`, and days (UTC). */
  readonly times?: readonly string[] | undefined;
  /** Options that take nothing. */
  readonly flags?: readonly string[] | undefined;
}

/** What a command line says; `--min-ms` is `options.minMs`. */
export interface CommandLine<Names extends OptionNames> {
  /** All that is no option, in order. */
  readonly words: readonly string[];
  readonly options: Readonly<
    Record<Camel<NamesOf<Names, 'texts'>>, string | undefined> &
      Record<Camel<NamesOf<Names, 'numbers'>>, number | undefined> &
      Record<Camel<NamesOf<Names, 'times'>>, Date | undefined> &
      Record<Camel<NamesOf<Names, 'flags'>>, boolean>
  >;
}

type NamesOf<Names extends OptionNames, Kind extends keyof OptionNames> = Names[Kind] extends readonly (infer Name)[]
  ? Name & string
  : never;
type Camel<Name extends string> = Name extends `${infer Head}-${infer Tail}`
  ? `${Head}${Capitalize<Camel<Tail>>}`
  : Name;

/**
 * Reads a command line. Options may stand anywhere; what follows `--` is words.
 *
 * @throws {UsageError} For an unknown option, a missing or superfluous value, and a number or time that is none. The
 *   message names the option, never the value.
 */
export function readCommandLine<const Names extends OptionNames>(
  args: readonly string[],
  names: Names,
): CommandLine<Names> {
  const { texts = [], numbers = [], times = [], flags = [] } = names;
  const { words, values } = parsed(args, [...texts, ...numbers, ...times], flags);
  const options: Record<string, string | number | Date | boolean | undefined> = {};
  for (const name of texts) options[camel(name)] = values[name] as string | undefined;
  for (const name of numbers) options[camel(name)] = numberOf(name, values[name] as string | undefined);
  for (const name of times) options[camel(name)] = timeOf(name, values[name] as string | undefined);
  for (const name of flags) options[camel(name)] = values[name] === true;
  return { words, options: options as CommandLine<Names>['options'] };
}

function parsed(
  args: readonly string[],
  withValue: readonly string[],
  flags: readonly string[],
): { readonly words: readonly string[]; readonly values: Readonly<Record<string, unknown>> } {
  const options = Object.fromEntries([
    ...withValue.map((name) => [name, { type: 'string' as const }]),
    ...flags.map((name) => [name, { type: 'boolean' as const }]),
  ]);
  try {
    const { positionals, values } = parseArgs({ args: [...args], options, allowPositionals: true, strict: true });
    return { words: positionals, values };
  } catch (error) {
    // The sentences behind the first are about `--`, and quote what was given.
    const [said = ''] = error instanceof Error ? error.message.split(/\.\s/, 1) : [];
    const dashed = /^Option '(--[\w-]+)' argument is ambiguous/.exec(said)?.[1];
    if (dashed === undefined) throw new UsageError(said === '' ? 'Unknown option' : said);
    throw new UsageError(`${dashed} has no value behind it; one that begins with a dash is written ${dashed}=<value>`);
  }
}

function camel(name: string): string {
  return name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());
}

function numberOf(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = text.trim() === '' ? Number.NaN : Number(text);
  if (!Number.isFinite(value)) throw new UsageError(`--${name} is not a number; give one of at least 0`);
  if (value < 0) throw new UsageError(`--${name} is less than 0; give a number of at least 0`);
  return value;
}

const dayForm = /^(\d{4}-\d\d-\d\d)(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?$/i;

function timeOf(name: string, text: string | undefined): Date | undefined {
  if (text === undefined) return undefined;
  const [, day, clock, , , zone] = dayForm.exec(text) ?? [];
  const value = new Date(text);
  // A day that the month does not have would be taken for one of the next month.
  if (day === undefined || Number.isNaN(value.getTime()) || !isDay(day)) {
    throw new UsageError(`--${name} is not a time, such as 2030-01-31T12:00:00Z`);
  }
  // Without a zone it would be another instant on each machine.
  if (clock !== undefined && zone === undefined) {
    throw new UsageError(`--${name} has no zone; end it with Z (UTC) or an offset, such as 2030-01-31T12:00:00+01:00`);
  }
  return value;
}

function isDay(day: string): boolean {
  return new Date(day).toISOString().startsWith(day);
}
