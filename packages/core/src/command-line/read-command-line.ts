import { parseArgs } from 'node:util';
import { UsageError } from './usage-error.js';

/** Names of a program's options without their dashes, such as `min-ms`, by what they take. */
export interface OptionNames {
  readonly texts?: readonly string[] | undefined;
  /** Finite numbers of at least 0. */
  readonly numbers?: readonly string[] | undefined;
  /** Times, such as `2030-01-31T12:00:00Z`. */
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
    throw new UsageError(error instanceof Error ? error.message.split(/\.\s/, 1)[0] : 'Unknown option');
  }
}

function camel(name: string): string {
  return name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());
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
