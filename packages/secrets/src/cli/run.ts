import { MnopsError } from '@mnops/core';
import { commands } from './commands.js';
import { exitCodeOf, exitCodes } from './exit-code.js';
import { openManager } from './open.js';
import { isUsageError, readOptions, UsageError } from './options.js';
import type { Terminal } from './terminal.js';
import { usage } from './usage.js';

/** Runs one command line and gives its exit code. It never throws, and no error that it shows holds a value. */
export async function run(args: readonly string[], terminal: Terminal): Promise<number> {
  try {
    const options = readOptions(args);
    const [name = '', ...words] = options.words;
    if (options.help || name === 'help') {
      terminal.write(usage);
      return exitCodes.done;
    }
    const command = commands.get(name === 'audit' ? `audit ${words.shift() ?? ''}` : name);
    if (command === undefined && name === 'audit')
      throw new UsageError('Usage: mnops-secrets audit verify | audit list');
    if (command === undefined) {
      throw new UsageError(name === '' ? 'A command is missing' : `There is no command ${name}`);
    }
    if (words.length < command.least || words.length > command.most) {
      const hint =
        name === 'put' && words.length > command.most ? 'A value is never taken from the command line. ' : '';
      throw new UsageError(`${hint}Usage: mnops-secrets ${command.usage}`);
    }
    const opened = await openManager(options, terminal);
    try {
      const operations = options.actor === undefined ? opened.secrets : opened.secrets.as(options.actor);
      return await command.run({ ...opened, operations, options, words, terminal });
    } finally {
      await opened.secrets.stop();
    }
  } catch (error) {
    explain(error, terminal);
    return exitCodeOf(error);
  }
}

function explain(error: unknown, terminal: Terminal): void {
  if (isUsageError(error)) {
    terminal.tell(`${error.message}. Try mnops-secrets --help.`);
    return;
  }
  if (MnopsError.is(error)) {
    terminal.tell(`${error.code}: ${error.message}`);
    if (error.remedy !== undefined) terminal.tell(error.remedy);
    return;
  }
  const reason = error as NodeJS.ErrnoException;
  if (reason.code === 'ENOENT' && reason.path !== undefined) {
    terminal.tell(`There is no file ${reason.path}.`);
    return;
  }
  // Other errors may quote what they were given.
  terminal.tell(
    `Failed: ${reason.code ?? reason.name ?? 'unknown reason'}${reason.path === undefined ? '' : ` ${reason.path}`}`,
  );
}
