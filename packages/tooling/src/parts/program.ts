import { type SpawnOptions, spawn, spawnSync } from 'node:child_process';

/** How a program is run. */
export interface ProgramOptions {
  readonly cwd?: string | undefined;
  /** Added to this process's environment; `undefined` removes a variable. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined;
  /** Text or bytes for standard input. */
  readonly input?: string | Uint8Array | undefined;
  /** Milliseconds until it is killed. Default 120,000. */
  readonly timeoutMs?: number | undefined;
  /** Who runs it, where this process may choose. Default: this process's user. */
  readonly owner?: { readonly uid: number; readonly gid: number } | undefined;
}

/** What a program left behind. */
export interface ProgramResult {
  /** Exit code; -1 when a signal ended it. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end. A non-zero exit code is a result, not an error; a program that cannot start is an error. */
export async function runProgram(
  program: string,
  args: readonly string[],
  options: ProgramOptions = {},
): Promise<ProgramResult> {
  const { cwd, input, timeoutMs = 120_000 } = options;
  const spawnOptions: SpawnOptions = {
    env: environment(options.env),
    stdio: 'pipe',
    timeout: timeoutMs,
    ...options.owner,
  };
  if (cwd !== undefined) spawnOptions.cwd = cwd;
  const child = spawn(program, args, spawnOptions);
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout?.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr?.on('data', (chunk: Buffer) => stderr.push(chunk));
  // A program may end without reading its input; its exit code then says more than a broken pipe.
  child.stdin?.on('error', () => {});
  child.stdin?.end(input);
  const code = await new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (exitCode) => resolve(exitCode ?? -1));
  });
  return { code, stdout: Buffer.concat(stdout).toString('utf8'), stderr: Buffer.concat(stderr).toString('utf8') };
}

/** What a program printed. A non-zero exit code is an error here. */
export function printed({ code, stdout, stderr }: ProgramResult, program: string): string {
  if (code !== 0) throw new Error(`${program} failed (${code}):\n${stdout}${stderr}`);
  return stdout;
}

/** The user that a Debian package made for its server, for servers that refuse to run as root; `undefined` for anybody but root. */
export async function packageUser(name: string): Promise<{ readonly uid: number; readonly gid: number } | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const idOf = async (option: string): Promise<number> => Number(printed(await runProgram('id', [option, name]), 'id'));
  return { uid: await idOf('-u'), gid: await idOf('-g') };
}

/** First match of a pattern in what a program prints, such as its version; `undefined` when it fails or says nothing like it. */
export function askProgram(program: string, args: readonly string[], pattern: RegExp): string | undefined {
  const { stdout, stderr } = spawnSync(program, args, { encoding: 'utf8', timeout: 20_000 });
  const match = pattern.exec(`${stdout ?? ''}\n${stderr ?? ''}`);
  return match?.[1] ?? match?.[0];
}

/** This process's environment with changes; `undefined` removes a variable. */
export function environment(changes: Readonly<Record<string, string | undefined>> = {}): NodeJS.ProcessEnv {
  const merged: NodeJS.ProcessEnv = { ...process.env };
  for (const [name, value] of Object.entries(changes)) {
    if (value === undefined) delete merged[name];
    else merged[name] = value;
  }
  return merged;
}
