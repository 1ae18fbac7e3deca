import { codeOf, MnopsError } from '@mnops/core';
import { runProgram } from '@mnops/core/command-line';
import { packageVersion } from '../package-version.js';
import { commands } from './commands.js';
import { optionNames } from './options.js';
import { openSource } from './source.js';
import type { Terminal } from './terminal.js';
import { usage } from './usage.js';

const exitCodes = { failed: 1, unreadable: 4 } as const;

/** Runs one command line and gives its exit code. It never throws. */
export async function run(args: readonly string[], terminal: Terminal): Promise<number> {
  return await runProgram(
    {
      name: 'mnops-apm',
      version: packageVersion,
      usage,
      options: optionNames,
      commands,
      async run(command, { words: [source = '', ...words], options }) {
        const { apm, close } = await openSource(source, terminal);
        try {
          return await command.run({ apm, options, words, terminal });
        } finally {
          await close();
        }
      },
      exitCodeOf,
      explain,
    },
    args,
    terminal,
  );
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
