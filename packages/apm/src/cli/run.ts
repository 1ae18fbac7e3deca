import { MnopsError } from '@mnops/core';
import { commands } from './commands.js';
import { isUsageError, readOptions, UsageError } from './options.js';
import { openSource } from './source.js';
import type { Terminal } from './terminal.js';
import { usage } from './usage.js';

const exitCodes = { done: 0, failed: 1, usage: 2, unreadable: 4 } as const;

/** Runs one command line and gives its exit code. It never throws. */
export async function run(args: readonly string[], terminal: Terminal): Promise<number> {
  try {
    const options = readOptions(args);
    const [name = '', source, ...words] = options.words;
    if (options.help || name === 'help') {
      terminal.write(usage);
      return exitCodes.done;
    }
    const command = commands.get(name);
    if (command === undefined) {
      throw new UsageError(name === '' ? 'A command is missing' : `There is no command ${name}`);
    }
    if (source === undefined || words.length !== command.words) {
      throw new UsageError(`Usage: mnops-apm ${command.usage}`);
    }
    const { apm, close } = await openSource(source, terminal);
    try {
      return await command.run({ apm, options, words, terminal });
    } finally {
      await close();
    }
  } catch (error) {
    return explained(error, terminal);
  }
}

function explained(error: unknown, terminal: Terminal): number {
  if (isUsageError(error)) {
    terminal.tell(`${error.message}. Try mnops-apm --help.`);
    return exitCodes.usage;
  }
  if (MnopsError.is(error)) {
    terminal.tell(`${error.code}: ${error.message}`);
    if (error.remedy !== undefined) terminal.tell(error.remedy);
    return error.code === 'MNOPS_APM_SPANS_INVALID' ? exitCodes.unreadable : exitCodes.failed;
  }
  const { code, path, message } = error as NodeJS.ErrnoException;
  if (path !== undefined) {
    terminal.tell(code === 'ENOENT' ? `There is no file or folder ${path}.` : `${path} cannot be read: ${code}.`);
    return exitCodes.unreadable;
  }
  terminal.tell(`Failed: ${message}`);
  return exitCodes.failed;
}
