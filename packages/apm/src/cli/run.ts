import { codeOf, MnopsError } from '@mnops/core';
import { runProgram, UsageError } from '@mnops/core/command-line';
import { packageVersion } from '../package-version.js';
import { printable } from '../terminal/styles.js';
import { type Command, commands } from './commands.js';
import { type CliOptions, optionNames } from './options.js';
import { openSource } from './source.js';
import type { Terminal } from './terminal.js';
import { usage } from './usage.js';

const exitCodes = { failed: 1, unreadable: 4 } as const;

/** Runs one command line and gives its exit code. It never throws. */
export async function run(args: readonly string[], terminal: Terminal): Promise<number> {
  // Names of files and what a file holds come into what is told.
  const tell = (text: string): void => terminal.tell(text.split('\n').map(printable).join('\n'));
  const safe = { ...terminal, tell };
  return await runProgram(
    {
      name: 'mnops-apm',
      version: packageVersion,
      usage,
      options: optionNames,
      commands,
      async run(command, { words: [source = '', ...words], options }) {
        checkOptions(command, options);
        const { apm, close } = await openSource(source, safe, { everyHour: options.at === undefined });
        try {
          return await command.run({ apm, options, words, terminal: safe });
        } finally {
          await close();
        }
      },
      exitCodeOf,
      explain,
    },
    args,
    safe,
  );
}

/** Options of every command. */
const general: readonly string[] = ['json', 'color', 'noColor'];

/** An option that a command does not obey would seem to have found nothing else. */
function checkOptions({ usage: form, takes }: Command, options: CliOptions): void {
  const { texts, numbers, times, flags } = optionNames;
  const stray = [...texts, ...numbers, ...times, ...flags].filter((name) => {
    const key = name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase()) as keyof CliOptions;
    return (options[key] ?? false) !== false && !general.includes(key) && !takes.includes(key);
  });
  if (stray.length > 0) {
    throw new UsageError(`${form.split(' ', 1)[0]} takes no ${stray.map((name) => `--${name}`).join(', ')}`);
  }
  const { limit = 1 } = options;
  if (!Number.isSafeInteger(limit) || limit < 1) throw new UsageError('--limit is not a whole number of at least 1');
}

function exitCodeOf(error: unknown): number {
  const isUnreadable = MnopsError.is(error)
    ? codeOf(error) === 'MNOPS_APM_SPANS_INVALID'
    : (error as NodeJS.ErrnoException).path !== undefined;
  return isUnreadable ? exitCodes.unreadable : exitCodes.failed;
}

function explain(error: unknown): string {
  const { code, path, message } = error as NodeJS.ErrnoException;
  if (path === undefined) return `Failed: ${message}`;
  return code === 'ENOENT' ? `There is no file or folder ${path}.` : `${path} cannot be read: ${code}.`;
}
