import { MnopsError } from '../errors/mnops-error.js';
import { type CommandLine, type OptionNames, readCommandLine } from './read-command-line.js';
import { isUsageError, UsageError } from './usage-error.js';

/** One command of a program. */
export interface Command {
  /** How it is called, without the program's name: `trace <source> <id>`. */
  readonly usage: string;
  /** Fewest and most words that it takes behind its name. */
  readonly words: readonly [least: number, most: number];
  /** Said first where there are more, such as why a value is no word. */
  readonly whenMore?: string | undefined;
}

/** A program of commands. `--help`, `help` and `--version` are its own. */
export interface Program<Names extends OptionNames, Each extends Command> {
  /** As it is called: `mnops-apm`. */
  readonly name: string;
  readonly version: string;
  /** Its help, ending in a line end. */
  readonly usage: string;
  readonly options: Names;
  /** By name; a name may be of two words: `audit verify`. */
  readonly commands: ReadonlyMap<string, Each>;
  /** Runs a command with the words behind its name; gives the exit code. */
  run(command: Each, line: CommandLine<Names>): Promise<number>;
  /** The exit code of an error; one of the command line has 2. */
  exitCodeOf(error: unknown): number;
  /** What to say of an error that is neither of the command line nor a `MnopsError`. */
  explain(error: unknown): string;
}

/** Where a program writes. */
interface Output {
  /** To standard output, as it is. */
  write(text: string): void;
  /** A line for people: errors and remarks. */
  tell(text: string): void;
}

const usageExitCode = 2;

/** Runs one command line and gives its exit code: 0 done, 2 wrong usage, else as the program says. It never throws. */
export async function runProgram<const Names extends OptionNames, Each extends Command>(
  program: Program<Names, Each>,
  args: readonly string[],
  output: Output,
): Promise<number> {
  try {
    const { flags = [] } = program.options;
    const line = readCommandLine(args, { ...program.options, flags: [...flags, 'help', 'version'] });
    const { help, version } = line.options as { readonly help: boolean; readonly version: boolean };
    if (help || line.words[0] === 'help') {
      output.write(program.usage);
      return 0;
    }
    if (version) {
      output.write(`${program.version}\n`);
      return 0;
    }
    const { command, words } = commandOf(program, line.words);
    return await program.run(command, { words, options: line.options as CommandLine<Names>['options'] });
  } catch (error) {
    if (isUsageError(error)) {
      output.tell(`${error.message}. Try ${program.name} --help.`);
      return usageExitCode;
    }
    if (MnopsError.is(error)) {
      output.tell(`${error.code}: ${error.message}`);
      if (error.remedy !== undefined) output.tell(error.remedy);
    } else {
      output.tell(program.explain(error));
    }
    return program.exitCodeOf(error);
  }
}

/** Runs a program as this process: its exit code is the process's, and a reader that ends first (`| head`) is no error. */
export function runAsProcess(run: () => Promise<number>): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));
  // Nobody is left to tell; the exit code still says how it went.
  process.stderr.on('error', () => undefined);
  void run().then((code) => {
    process.exitCode = code;
  });
}

function commandOf<Each extends Command>(
  { name, commands }: Pick<Program<OptionNames, Each>, 'name' | 'commands'>,
  said: readonly string[],
): { readonly command: Each; readonly words: readonly string[] } {
  const [first = ''] = said;
  const pair = commands.get(said.slice(0, 2).join(' '));
  const command = pair ?? commands.get(first);
  if (command === undefined) {
    const alike = [...commands].filter(([key]) => key.startsWith(`${first} `)).map(([, { usage }]) => usage);
    if (first !== '' && alike.length > 0) throw new UsageError(`Usage: ${name} ${alike.join(' | ')}`);
    // The word itself may be a secret that was given at a wrong place.
    const known = [...new Set([...commands.keys()].map((key) => key.split(' ', 1)[0]))].join(', ');
    throw new UsageError(`${first === '' ? 'A command is missing' : 'There is no such command'}; there are ${known}`);
  }
  const words = said.slice(pair !== undefined && said.length > 1 ? 2 : 1);
  const [least, most] = command.words;
  if (words.length >= least && words.length <= most) return { command, words };
  const why = command.whenMore !== undefined && words.length > most ? `${command.whenMore}. ` : '';
  throw new UsageError(`${why}Usage: ${name} ${command.usage}`);
}
