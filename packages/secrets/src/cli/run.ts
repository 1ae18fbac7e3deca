import { runProgram } from '@mnops/core/command-line';
import { packageVersion } from '../package-version.js';
import { commands } from './commands.js';
import { exitCodeOf } from './exit-code.js';
import { openManager } from './open.js';
import { optionNames } from './options.js';
import type { Terminal } from './terminal.js';
import { usage } from './usage.js';

/** Runs one command line and gives its exit code. It never throws, and no error that it shows holds a value. */
export async function run(args: readonly string[], terminal: Terminal): Promise<number> {
  return await runProgram(
    {
      name: 'mnops-secrets',
      version: packageVersion,
      usage,
      options: optionNames,
      commands,
      async run(command, { words, options }) {
        const opened = await openManager(options, terminal);
        try {
          const operations = options.actor === undefined ? opened.secrets : opened.secrets.as(options.actor);
          return await command.run({ ...opened, operations, options, words, terminal });
        } finally {
          await opened.secrets.stop();
        }
      },
      exitCodeOf,
      explain,
    },
    args,
    terminal,
  );
}

/** Without the message, which may quote what was given. */
function explain(error: unknown): string {
  const { code, path, name } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT' && path !== undefined) return `There is no file ${path}.`;
  return `Failed: ${code ?? name ?? 'unknown reason'}${path === undefined ? '' : ` ${path}`}`;
}
