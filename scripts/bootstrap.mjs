// Runs a command of this repository on a fresh clone: installs what is missing, builds what the command needs, then runs it.
// Plain JavaScript and built-ins only: nothing is installed when this starts.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const tooling = 'packages/tooling/src';

/** What each command builds first (names of workspaces, `all`, or `named`: those named on the command line) and runs. */
const commands = {
  demo: { build: 'build:js', of: () => ['shop'], run: ['examples/shop/dist/operator.js'] },
  bench: { build: 'build:js', of: named, run: ['--import', 'tsx', `${tooling}/bench/main.ts`] },
  prove: { build: 'build:js', of: named, run: ['--import', 'tsx', `${tooling}/prove/main.ts`] },
  build: { build: 'build', of: () => [] },
  check: { run: ['--import', 'tsx', `${tooling}/check/main.ts`] },
  docs: { run: ['--conditions=@mnops/source', '--import', 'tsx', `${tooling}/docs/main.ts`] },
  parts: { run: ['--import', 'tsx', `${tooling}/parts/main.ts`] },
  test: { run: ['--import', 'tsx', `${tooling}/test/main.ts`] },
};

process.exitCode = await main(process.argv.slice(2));

async function main([name, ...args]) {
  const command = commands[name];
  if (command === undefined) return refuse(`Unknown command ${name}. Known: ${Object.keys(commands).join(', ')}.`);
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major < 20 || (major === 20 && minor < 19)) {
    return refuse(`MNOps needs Node 20.19 or newer; this is ${process.versions.node}.`);
  }
  const installed = await install();
  if (installed !== 0) return installed;
  if (command.build !== undefined) {
    const built = await build(command.build, command.of(args));
    if (built !== 0) return built;
  }
  return command.run === undefined ? 0 : await run(process.execPath, [...command.run, ...args]);
}

function refuse(text) {
  console.error(text);
  return 1;
}

/** Installs the dependencies unless those of this lockfile are there already. */
async function install() {
  const lockText = readFileSync(join(root, 'package-lock.json'), 'utf8');
  const stampFile = join(root, 'node_modules', '.mnops-installed');
  const stamp = createHash('sha256').update(`${lockText}\n${process.platform} ${process.arch}`).digest('hex');
  if (existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp) return 0;
  if (!holdsLockedPackages(JSON.parse(lockText))) {
    console.error('Installing dependencies …');
    const npm = process.env.npm_execpath;
    const words = ['ci', '--no-audit', '--no-fund', '--loglevel=error'];
    const code = npm?.endsWith('.js')
      ? await run(process.execPath, [npm, ...words], 2)
      : await run(process.platform === 'win32' ? 'npm.cmd' : 'npm', words, 2);
    if (code !== 0) return refuse(`npm ci failed with exit code ${code}.`);
  }
  writeFileSync(stampFile, stamp);
  return 0;
}

/** Whether `npm install` has put exactly the packages of the lockfile in place; then a clean install would change nothing. */
function holdsLockedPackages(lock) {
  const file = join(root, 'node_modules', '.package-lock.json');
  if (!existsSync(file)) return false;
  const present = JSON.parse(readFileSync(file, 'utf8')).packages;
  const wanted = lock.packages;
  const same = (path) =>
    present[path].version === wanted[path]?.version && present[path].integrity === wanted[path]?.integrity;
  const needless = (path) =>
    wanted[path].optional === true || wanted[path].devOptional === true || !path.includes('node_modules/');
  return (
    Object.keys(present).every((path) => same(path) && existsSync(join(root, path))) &&
    Object.keys(wanted).every((path) => path in present || needless(path))
  );
}

/** Builds workspaces and what they depend on. Output is shown only when a build fails. */
async function build(task, names) {
  const turbo = join('node_modules', 'turbo', 'bin', 'turbo');
  const filters = names.map((name) => `--filter=${workspaceName(name)}`);
  const words = ['run', task, '--output-logs=errors-only', '--log-prefix=none', '--concurrency=2', ...filters];
  const notice = setTimeout(() => console.error('Building …'), 1_500);
  const code = await run(process.execPath, [turbo, ...words], 'pipe');
  clearTimeout(notice);
  return code;
}

function workspaceName(name) {
  const folder = ['packages', 'examples'].map((group) => join(root, group, name, 'package.json')).find(existsSync);
  return folder === undefined ? name : JSON.parse(readFileSync(folder, 'utf8')).name;
}

/** The packages and examples that the command line names, as in `secrets:get`; none means all. */
function named(args) {
  const names = args.filter((word) => /^[a-z][a-z-]*(:|$)/.test(word)).map((word) => word.split(':')[0]);
  return names.filter((name) => ['packages', 'examples'].some((group) => existsSync(join(root, group, name))));
}

/**
 * Runs a program to its end and gives its exit code. The program has a process group of its own, because a Ctrl-C comes
 * here up to three times (from the terminal, from npm, from `timeout`) and must reach it once.
 *
 * @param output - Where standard output goes: `inherit`; `2`, standard error; `pipe`, nowhere unless the program fails.
 */
async function run(program, args, output = 'inherit') {
  const child = spawn(program, args, {
    cwd: root,
    detached: process.platform !== 'win32',
    stdio: ['inherit', output, output === 'pipe' ? 'pipe' : 'inherit'],
    env: { ...process.env, TURBO_TELEMETRY_DISABLED: '1' },
  });
  const held = [];
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk) => held.push(chunk));
  const sentAt = new Map();
  const forward = (signal) => {
    const now = performance.now();
    if (now - (sentAt.get(signal) ?? Number.NEGATIVE_INFINITY) < 500) return;
    sentAt.set(signal, now);
    endGroup(child, signal);
  };
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'];
  for (const signal of signals) process.on(signal, forward);
  // npm sends signals to the shell between it and this process, and the shell dies without a word.
  const parent = process.ppid;
  const orphaned = () => process.ppid !== parent && forward('SIGTERM');
  const watch = process.env.npm_lifecycle_event === undefined ? undefined : setInterval(orphaned, 250);
  try {
    const code = await new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (exitCode, signal) => resolve(exitCode ?? 128 + signalNumber(signal)));
    });
    if (code !== 0) process.stderr.write(Buffer.concat(held));
    return code;
  } finally {
    clearInterval(watch);
    for (const signal of signals) process.removeListener(signal, forward);
  }
}

/** Sends a signal to a program and to whatever it started in its group, such as the suite that it runs. */
function endGroup(child, signal) {
  try {
    if (process.platform === 'win32') child.kill(signal);
    else process.kill(-child.pid, signal);
  } catch {
    // It has ended already.
  }
}

function signalNumber(signal) {
  return { SIGHUP: 1, SIGINT: 2, SIGQUIT: 3, SIGABRT: 6, SIGKILL: 9, SIGSEGV: 11, SIGTERM: 15 }[signal] ?? 0;
}
