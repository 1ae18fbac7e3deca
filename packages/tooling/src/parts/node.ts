import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cacheFolder, isProgram, type Part } from './part.js';
import { askProgram, type ProgramOptions, type ProgramResult, runProgram } from './program.js';

/** Another release line of Node itself: the published packages are tried on it. */
export interface NodePart extends Part {
  readonly id: 'node22' | 'node24';
  /** Path of the `node` program; empty when it is not available. */
  readonly path: string;
  run(args: readonly string[], options?: ProgramOptions): Promise<ProgramResult>;
}

export function nodeRelease(major: 22 | 24): NodePart {
  const folder = join(cacheFolder(), `node-${major}`);
  const packageName = `node-${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`;
  const program = join(folder, 'node_modules', packageName, 'bin', 'node');
  const path = isProgram(program) ? program : '';
  return {
    id: `node${major}`,
    purpose: `consumers and core's unit suite on Node ${major}`,
    available: path !== '',
    get version() {
      return path === '' ? undefined : askProgram(path, ['--version'], /\d+\.\d+\.\d+/);
    },
    installLine: `npm run parts -- install node${major}`,
    install: (progress) => install(folder, `${packageName}@${major}`, progress),
    path,
    run: (args, options) => runProgram(path, args, options),
  };
}

async function install(folder: string, specifier: string, progress: (text: string) => void): Promise<void> {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{ "private": true }\n');
  progress(`npm install ${specifier} (about 50 MB)`);
  const args = ['install', '--no-audit', '--no-fund', '--ignore-scripts', '--force', specifier];
  const { code, stderr } = await runProgram('npm', args, { cwd: folder, timeoutMs: 600_000 });
  if (code !== 0) throw new Error(`npm install ${specifier} failed (${code}):\n${stderr}`);
}
