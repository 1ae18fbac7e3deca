/** What was asked for on the command line of `npm run bench` or `npm run prove`. */
export interface SuiteArguments {
  /** `name` or `name:suite`; empty means all. */
  readonly names: readonly string[];
  /** File that gets the rows as JSON. */
  readonly json: string | undefined;
  /** Whether the rows go into `docs/benchmarks.md`. */
  readonly writeDocs: boolean;
  /** Whether the command line asks how it is used; nothing is run then. */
  readonly help: boolean;
  /** Every other `--key value`, for the suites. `--key` alone is `'true'`. */
  readonly options: Readonly<Record<string, string>>;
}

/** Reads the command line of a suite runner. */
export function suiteArguments(args: readonly string[]): SuiteArguments {
  const names: string[] = [];
  const options: Record<string, string> = {};
  for (let index = 0; index < args.length; index += 1) {
    const word = args[index] ?? '';
    if (word === '-h') {
      options['help'] = 'true';
      continue;
    }
    if (!word.startsWith('--')) {
      names.push(word);
      continue;
    }
    const equals = word.indexOf('=');
    const next = args[index + 1];
    if (equals !== -1) {
      options[word.slice(2, equals)] = word.slice(equals + 1);
    } else if (next === undefined || next.startsWith('--') || valueless.includes(word.slice(2))) {
      options[word.slice(2)] = 'true';
    } else {
      options[word.slice(2)] = next;
      index += 1;
    }
  }
  const { json, 'write-docs': writeDocs, help, ...rest } = options;
  return { names, json, writeDocs: writeDocs === 'true', help: help === 'true', options: rest };
}

const valueless: readonly string[] = ['write-docs', 'short', 'help'];

/** A whole number of at least one, from text. */
export function countOf(option: string, text: string): number {
  const count = Number(text);
  if (!Number.isSafeInteger(count) || count < 1) {
    throw new Error(`--${option} expects a whole number of at least 1, not ${JSON.stringify(text)}.`);
  }
  return count;
}
