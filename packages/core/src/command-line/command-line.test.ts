import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, describe, expect, it } from 'vitest';
import { coreError } from '../errors/core-error.js';
import { readCommandLine } from './read-command-line.js';
import { type Command, runProgram } from './run-program.js';
import { isUsageError, UsageError } from './usage-error.js';

const names = {
  texts: ['service', 'key-file'],
  numbers: ['min-ms'],
  times: ['from'],
  flags: ['dry-run'],
} as const;

describe('readCommandLine', () => {
  it('tells words from options, wherever they stand', () => {
    const line = readCommandLine(
      ['trace', '--key-file', 'a b', 'x', '--min-ms=1.5', '--from', '2030-01-31', '--', '--dry-run'],
      names,
    );
    expect(line).toEqual({
      words: ['trace', 'x', '--dry-run'],
      options: { service: undefined, keyFile: 'a b', minMs: 1.5, from: new Date('2030-01-31'), dryRun: false },
    });
    expect(readCommandLine(['--dry-run'], names).options.dryRun).toBe(true);
    expect(readCommandLine(['a'], {})).toEqual({ words: ['a'], options: {} });
  });

  it.each([
    [['--serve', 'canary'], "Unknown option '--serve'"],
    [['--serve=canary'], "Unknown option '--serve'"],
    [['--service'], "Option '--service <value>' argument missing"],
    [
      ['--service', '--dry-run'],
      '--service has no value behind it; one that begins with a dash is written --service=<value>',
    ],
    [['--dry-run=canary'], "Option '--dry-run' does not take an argument"],
    [['--min-ms', 'canary'], '--min-ms is not a number; give one of at least 0'],
    [['--min-ms='], '--min-ms is not a number; give one of at least 0'],
    [['--min-ms', '-1'], '--min-ms has no value behind it; one that begins with a dash is written --min-ms=<value>'],
    [['--min-ms=-1'], '--min-ms is less than 0; give a number of at least 0'],
    [['--min-ms', 'Infinity'], '--min-ms is not a number; give one of at least 0'],
    [['--from', 'canary'], '--from is not a time, such as 2030-01-31T12:00:00Z'],
    [['--from', '2030-02-30'], '--from is not a time, such as 2030-01-31T12:00:00Z'],
    [['--from', 'Jan 5 2030'], '--from is not a time, such as 2030-01-31T12:00:00Z'],
    [
      ['--from', '2030-01-31T12:00:00'],
      '--from has no zone; end it with Z (UTC) or an offset, such as 2030-01-31T12:00:00+01:00',
    ],
  ])('refuses %j without quoting a value', (args, message) => {
    const read = () => readCommandLine(args, names);
    expect(read).toThrow(new UsageError(message));
    expect(message).not.toContain('canary');
  });
});

describe('runProgram', () => {
  interface Said {
    readonly code: number;
    readonly out: string;
    readonly told: string;
  }
  async function run(args: readonly string[], fail?: unknown): Promise<Said> {
    let out = '';
    let told = '';
    const commands = new Map<string, Command>([
      ['list', { usage: 'list [prefix]', words: [0, 1] }],
      ['put', { usage: 'put <path>', words: [1, 1], whenMore: 'A value is no word' }],
      ['audit verify', { usage: 'audit verify', words: [0, 0] }],
      ['audit list', { usage: 'audit list', words: [0, 0] }],
    ]);
    const code = await runProgram(
      {
        name: 'belfry',
        version: '1.2.3',
        usage: 'belfry: bells\n',
        options: names,
        commands,
        async run({ usage }, { words, options }) {
          if (fail !== undefined) throw fail;
          out += `${usage}: ${words.join(' ')} ${options.service ?? ''}`;
          return 7;
        },
        exitCodeOf: () => 4,
        explain: () => 'Something is wrong.',
      },
      args,
      {
        write: (text) => {
          out += text;
        },
        tell: (text) => {
          told += `${text}\n`;
        },
      },
    );
    return { code, out, told };
  }
  const refused = (told: string): Said => ({ code: 2, out: '', told: `${told}. Try belfry --help.\n` });

  it('runs a command, of one word or two, with the words behind it', async () => {
    expect(await run(['list', 'a', '--service', 'shop'])).toEqual({ code: 7, out: 'list [prefix]: a shop', told: '' });
    expect(await run(['audit', 'list'])).toMatchObject({ code: 7, out: 'audit list:  ' });
  });

  it('gives help and version before anything else', async () => {
    for (const args of [['--help'], ['help'], ['put', '--help', '--version']]) {
      expect(await run(args), args.join(' ')).toEqual({ code: 0, out: 'belfry: bells\n', told: '' });
    }
    expect(await run(['--version'])).toEqual({ code: 0, out: '1.2.3\n', told: '' });
  });

  it('says how a command is called', async () => {
    expect(await run([])).toEqual(refused('A command is missing; there are list, put, audit'));
    expect(await run([''])).toEqual(refused('A command is missing; there are list, put, audit'));
    expect(await run(['canary'])).toEqual(refused('There is no such command; there are list, put, audit'));
    expect(await run(['list', '--loud'])).toEqual(refused("Unknown option '--loud'"));
    expect(await run(['list', 'a', 'b'])).toEqual(refused('Usage: belfry list [prefix]'));
    expect(await run(['put'])).toEqual(refused('Usage: belfry put <path>'));
    expect(await run(['put', 'a', 'b'])).toEqual(refused('A value is no word. Usage: belfry put <path>'));
    expect(await run(['audit', 'vrify'])).toEqual(refused('Usage: belfry audit verify | audit list'));
    expect(await run(['audit'])).toEqual(refused('Usage: belfry audit verify | audit list'));
    expect(await run(['list'], new UsageError('Give a path'))).toEqual(refused('Give a path'));
  });

  it('shows an error of MNOps with its remedy, and leaves others to the program', async () => {
    const error = coreError('MNOPS_CORE_NOT_FOUND', 'There is no bell.', { remedy: 'Hang one.' });
    expect(await run(['list'], error)).toEqual({
      code: 4,
      out: '',
      told: 'MNOPS_CORE_NOT_FOUND: There is no bell.\nHang one.\n',
    });
    expect(await run(['list'], new Error('canary'))).toEqual({ code: 4, out: '', told: 'Something is wrong.\n' });
  });

  it('knows an error of the command line from another copy of the package', () => {
    expect(isUsageError(Object.assign(new Error('x'), { name: 'UsageError' }))).toBe(true);
    expect(isUsageError(new Error('x'))).toBe(false);
  });
});

describe('runAsProcess', () => {
  const script = (body: string): string =>
    `import { runAsProcess } from ${JSON.stringify(new URL('./run-program.ts', import.meta.url).href)};\n${body}`;
  const children: ChildProcess[] = [];
  const start = (body: string) => {
    const args = ['--import', 'tsx', '--input-type=module', '-e', script(body)];
    const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    children.push(child);
    return child;
  };
  afterEach(() => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
  });

  it('ends with the exit code', async () => {
    const child = start('runAsProcess(async () => 9);');
    const [code] = await once(child, 'exit');
    expect(code).toBe(9);
  });

  it('takes a reader that ends first as the end, and no error', async () => {
    const child = start(`
      runAsProcess(async () => {
        for (;;) {
          process.stdout.write('line\\n'.repeat(10_000));
          await new Promise((next) => setImmediate(next));
        }
      });`);
    await once(child.stdout, 'data');
    child.stdout.destroy();
    const [code] = await once(child, 'exit');
    expect(code).toBe(0);
  });

  it('goes on to its exit code when nobody reads what it tells', async () => {
    const child = start(`
      process.stdout.write('ready');
      runAsProcess(async () => {
        await new Promise((next) => process.stdin.once('data', next));
        process.stdin.destroy();
        await new Promise((next) => process.stderr.write('line', next));
        return 4;
      });`);
    await once(child.stdout, 'data');
    child.stderr.destroy();
    await once(child.stderr, 'close');
    child.stdin.write('go');
    const [code] = await once(child, 'exit');
    expect(code).toBe(4);
  });
});
