import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { transform } from 'esbuild';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { processHooks } from './process-hooks.js';

let folder: string;
const children: ChildProcess[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mnops-hooks-'));
  const source = await readFile(join(import.meta.dirname, 'process-hooks.ts'), 'utf8');
  for (const format of ['esm', 'cjs'] as const) {
    const { code } = await transform(source, { loader: 'ts', format });
    await writeFile(join(folder, format === 'esm' ? 'hooks.mjs' : 'hooks.cjs'), code);
  }
});
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});
afterAll(() => rm(folder, { recursive: true, force: true }));

interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly lines: string[];
  readonly errors: string;
}

/** Runs a program that has `hooks()` from the ESM copy and `otherHooks()` from the CJS copy; acts when it says `ready`. */
async function run(program: string, act: (child: ChildProcess) => void = () => undefined): Promise<Ended> {
  const head = `
    import { createRequire } from 'node:module';
    import { writeSync } from 'node:fs';
    import { processHooks as hooks } from ${JSON.stringify(pathToFileURL(join(folder, 'hooks.mjs')).href)};
    const { processHooks: otherHooks } = createRequire(import.meta.url)(${JSON.stringify(join(folder, 'hooks.cjs'))});
    const say = (text) => writeSync(1, text + '\\n');
    const alive = setInterval(() => undefined, 1000);
  `;
  const child = spawn(process.execPath, ['--input-type=module', '-e', head + program], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.push(child);
  let output = '';
  let errors = '';
  let acted = false;
  child.stderr?.on('data', (chunk) => {
    errors += chunk;
  });
  child.stdout?.on('data', (chunk) => {
    output += chunk;
    if (acted || !output.includes('ready\n')) return;
    acted = true;
    act(child);
  });
  const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve) => {
    child.on('close', (...result) => resolve(result));
  });
  const lines = output.trim().split('\n');
  return { code, signal, lines: lines.filter((line) => line !== 'ready'), errors };
}

const twoParts = `
  const tick = () => new Promise((resolve) => setImmediate(resolve));
  hooks().register({ name: 'a', stopTaking: () => say('a stop'), drain: async () => { await tick(); say('a drain'); },
    flush: () => say('a flush'), writeNow: () => say('a now') });
  otherHooks().register({ name: 'b', stopTaking: async () => { await tick(); say('b stop'); }, drain: () => say('b drain'),
    flush: () => { throw new Error('disk'); }, writeNow: () => say('b now') });
`;

describe('processHooks', () => {
  it.each(['SIGTERM', 'SIGINT'] as const)('runs the phases of all copies in order and ends by %s', async (signal) => {
    const ended = await run(`${twoParts} say('ready');`, (child) => child.kill(signal));
    expect(ended).toEqual({
      code: null,
      signal,
      lines: ['a stop', 'b stop', 'b drain', 'a drain', 'a flush', 'a now', 'b now'],
      errors: 'mnops: flush of b failed: disk\n',
    });
  });

  it('writes at process.exit, and at the natural end', async () => {
    expect(await run(`${twoParts} process.exit(3);`)).toMatchObject({ code: 3, lines: ['a now', 'b now'] });
    expect(await run(`${twoParts} clearInterval(alive);`)).toMatchObject({ code: 0, lines: ['a now', 'b now'] });
  });

  it.each(["setImmediate(() => { throw new Error('boom'); });", "Promise.reject(new Error('boom'));"])(
    'writes when nothing catches: %s',
    async (program) => {
      const ended = await run(`${twoParts} ${program}`);
      expect(ended.code).toBe(1);
      // Once when the error comes, and once at the exit that follows.
      expect(ended.lines).toEqual(['a now', 'b now', 'a now', 'b now']);
      expect(ended.errors).toContain('Error: boom');
    },
  );

  it('ends at once by a second signal, with everything written', async () => {
    const ended = await run(
      `hooks().register({ name: 'a', drain: () => { say('drain'); say('ready'); return new Promise(() => undefined); },
        writeNow: () => say('now') });
       process.kill(process.pid, 'SIGTERM');`,
      (child) => child.kill('SIGINT'),
    );
    expect(ended).toMatchObject({ code: null, signal: 'SIGINT', lines: ['drain', 'now'] });
  });

  it('ends when the grace time is over', async () => {
    const ended = await run(
      `hooks().register({ name: 'a', graceMs: 20, drain: () => new Promise(() => undefined), writeNow: () => say('now') });
       say('ready');`,
      (child) => child.kill('SIGTERM'),
    );
    expect(ended).toMatchObject({ code: null, signal: 'SIGTERM', lines: ['now'] });
  });

  it('leaves the end to a program that listens itself', async () => {
    const ended = await run(
      `let heard = 0;
       process.on('SIGTERM', () => { heard += 1; });
       hooks().register({ name: 'a', flush: () => say('flush'), writeNow: () => setImmediate(() => { say('heard ' + heard); process.exit(0); }) });
       say('ready');`,
      (child) => child.kill('SIGTERM'),
    );
    expect(ended).toMatchObject({ code: 0, signal: null, lines: ['flush', 'heard 1'] });
  });

  it.each([
    ['on', 'before'],
    ['on', 'after'],
    ['once', 'before'],
    ['once', 'after'],
  ])('writes at the exit of a program that listens %s, registered %s it', async (how, when) => {
    const listen = `process.${how}('SIGTERM', () => {
      setTimeout(() => { said.push('bye'); process.exit(4); }, flushed ? 0 : 50);
    });`;
    const register = `hooks().register({ name: 'a', flush: () => { flushed = true; say('flush'); },
      writeNow: () => { for (const text of said.splice(0)) say(text); } });`;
    const ended = await run(
      `const said = []; let flushed = false;
       ${when === 'before' ? listen + register : register + listen} say('ready');`,
      (child) => child.kill('SIGTERM'),
    );
    expect(ended).toMatchObject({ code: 4, signal: null, lines: ['flush', 'bye'] });
  });

  it.each([
    ['process.exit(5)', 'before', 5],
    ['process.exit(5)', 'after', 5],
    ["throw new Error('own')", 'before', 1],
    ["throw new Error('own')", 'after', 1],
  ])('writes when a listener of the program does %s, registered %s it', async (act, when, code) => {
    const listen = `process.on('SIGTERM', () => { said.push('last'); ${act}; });`;
    const register = `hooks().register({ name: 'a', drain: () => new Promise(() => undefined),
      writeNow: () => { for (const text of said.splice(0)) say(text); } });`;
    const ended = await run(
      `const said = []; ${when === 'before' ? listen + register : register + listen} say('ready');`,
      (child) => child.kill('SIGTERM'),
    );
    expect(ended).toMatchObject({ code, lines: ['last'] });
  });

  it.each(["throw new Error('boom')", "Promise.reject(new Error('boom'))"])(
    'writes when nothing catches while it drains: %s',
    async (failure) => {
      const ended = await run(
        `const said = [];
         hooks().register({ name: 'a', drain: () => { setImmediate(() => { said.push('last'); ${failure}; }); return new Promise(() => undefined); },
           writeNow: () => { for (const text of said.splice(0)) say(text); } });
         say('ready');`,
        (child) => child.kill('SIGTERM'),
      );
      expect(ended).toMatchObject({ code: 1, lines: ['last'] });
    },
  );

  it('writes what a program says after a second signal', async () => {
    const ended = await run(
      `const said = []; let heard = 0;
       process.on('SIGTERM', () => { heard += 1; if (heard === 2) setTimeout(() => { said.push('bye'); process.exit(6); }); });
       hooks().register({ name: 'a', drain: () => { setImmediate(() => say('ready')); return new Promise(() => undefined); },
         writeNow: () => { for (const text of said.splice(0)) say(text); } });
       process.kill(process.pid, 'SIGTERM');`,
      (child) => child.kill('SIGTERM'),
    );
    expect(ended).toMatchObject({ code: 6, lines: ['bye'] });
  });

  it('raises the signal again when every part went away meanwhile', async () => {
    const ended = await run(
      `const off = hooks().register({ name: 'a', drain: () => off() }); say('ready'); setTimeout(() => process.exit(9), 5000);`,
      (child) => child.kill('SIGTERM'),
    );
    expect(ended).toMatchObject({ code: null, signal: 'SIGTERM' });
  });

  it('stays at the natural end until the parts are done, also with what came up meanwhile', async () => {
    const ended = await run(
      `clearInterval(alive);
       let left = 2;
       const later = () => new Promise((resolve) => setTimeout(resolve, 5).unref());
       hooks().register({ name: 'a', naturalEnd: () => left === 0 ? undefined : later().then(() => { left -= 1; say('done ' + left); }),
         writeNow: () => say('now') });`,
    );
    expect(ended).toMatchObject({ code: 0, lines: ['done 1', 'done 0', 'now'], errors: '' });
  });

  it('ends by itself when the grace time is over, and says which part failed', async () => {
    const ended = await run(
      `clearInterval(alive);
       hooks().register({ name: 'a', graceMs: 20, naturalEnd: () => new Promise(() => undefined), writeNow: () => say('now') });
       otherHooks().register({ name: 'b', naturalEnd: () => Promise.reject(new Error('disk')) });`,
    );
    expect(ended).toMatchObject({ code: 0, lines: ['now'], errors: 'mnops: naturalEnd of b failed: disk\n' });
  });

  it('listens to the natural end only for parts that have something to do there', () => {
    const before = process.listenerCount('beforeExit');
    const plain = processHooks().register({ name: 'a' });
    expect(process.listenerCount('beforeExit')).toBe(before);
    const off = processHooks().register({ name: 'b', naturalEnd: () => undefined });
    expect(process.listenerCount('beforeExit')).toBe(before + 1);
    off();
    expect(process.listenerCount('beforeExit')).toBe(before);
    plain();
  });

  it('has handlers only while there are parts', () => {
    const count = (): number =>
      ['SIGTERM', 'SIGINT', 'exit', 'uncaughtExceptionMonitor'].reduce(
        (sum, name) => sum + process.listenerCount(name),
        0,
      );
    const before = count();
    const coordinator = processHooks();
    expect(count()).toBe(before);
    const offs = [coordinator.register({ name: 'a' }), processHooks().register({ name: 'b' })];
    expect(count()).toBe(before + 4);
    offs[0]?.();
    offs[0]?.();
    expect(count()).toBe(before + 4);
    offs[1]?.();
    expect(count()).toBe(before);
    coordinator.register({ name: 'c' })();
    expect(count()).toBe(before);
  });
});
