import { spawn } from 'node:child_process';
import { openSync } from 'node:fs';
import { appendFile, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '@mnops/core';
import { eventually } from '@mnops/core/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { logFile, logFolder, logParts, prepareLogs, rotateLog } from './log-files.js';
import { localLogSource } from './log-source.js';

let root: string;
let folder: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'mnops-logs-'));
  folder = logFolder(root, 'web', 'web-1');
  await prepareLogs(folder, { name: 'web', instance: 'web-1' });
});

afterEach(() => rm(root, { recursive: true, force: true }));

describe('the rotation of an output', () => {
  it('keeps every byte of a process that writes now and then', async () => {
    const file = logFile(folder, 'stdout');
    await writeFile(file, 'one\ntwo\n');
    expect(await rotateLog(folder, 'stdout', 4, 5)).toBe(0);
    await appendFile(file, 'three\n');
    const parts = await logParts(folder, 'stdout');
    expect(parts.map(({ start }) => start)).toEqual([0, 8]);
    expect(await Promise.all(parts.map((part) => readFile(part.file, 'utf8')))).toEqual(['one\ntwo\n', 'three\n']);
  });

  it('ends while a process floods its output, lets others work and counts what it cuts', async () => {
    const file = logFile(folder, 'stdout');
    const flood = spawn('/bin/sh', ['-c', 'exec yes abcdefghijklmnopqrstuvwxyz'], {
      stdio: ['ignore', openSync(file, 'a'), 'ignore'],
    });
    let longestMs = 0;
    let last = performance.now();
    const pulse = setInterval(() => {
      longestMs = Math.max(longestMs, performance.now() - last);
      last = performance.now();
    }, 10);
    try {
      await eventually(async () => (await stat(file)).size > 1_048_576);
      const cut = await rotateLog(folder, 'stdout', 1_048_576, 5);
      const [part, live] = await logParts(folder, 'stdout');
      expect(live!.start).toBe((await stat(part!.file)).size + cut);
    } finally {
      flood.kill('SIGKILL');
      clearInterval(pulse);
    }
    expect(longestMs).toBeLessThan(1_000);
  });

  it('loses nothing of a large output that is not being written', async () => {
    const size = 80 * 1_048_576;
    await writeFile(logFile(folder, 'stdout'), Buffer.alloc(size, 'x'));
    expect(await rotateLog(folder, 'stdout', 1_048_576, 5)).toBe(0);
    const parts = await logParts(folder, 'stdout');
    expect(parts.map(({ start }) => start)).toEqual([0, size]);
    expect(await Promise.all(parts.map(async (part) => (await stat(part.file)).size))).toEqual([size, 0]);
  });

  it('is given up without a trace when the supervisor closes', async () => {
    await writeFile(logFile(folder, 'stdout'), 'one\ntwo\n');
    expect(await rotateLog(folder, 'stdout', 4, 5, AbortSignal.abort())).toBe(0);
    expect((await readdir(folder)).sort()).toEqual(['identity.json', 'stdout.log']);
    expect(await readFile(logFile(folder, 'stdout'), 'utf8')).toBe('one\ntwo\n');
  });
});

it('reads on after bytes that were cut', async () => {
  await writeFile(join(folder, 'stdout.0000000000000000-0000000000000100.log'), 'one\n');
  await writeFile(logFile(folder, 'stdout'), 'two\n');
  const controller = new AbortController();
  const source = localLogSource({ folder: () => root, clock: systemClock() });
  const call = { signal: controller.signal, remainingMs: () => 10_000, secret: async () => '' };
  const seen: string[] = [];
  let checkpoint: unknown;
  for await (const batch of source.read({}, call)) {
    for (const { bytes } of batch.frames) seen.push(String(bytes));
    checkpoint = batch.checkpoint;
    if (seen.length === 2) controller.abort();
  }
  expect(seen).toEqual(['one', 'two']);
  expect(checkpoint).toEqual({ streams: { 'web/web-1/stdout': 104 } });
});
