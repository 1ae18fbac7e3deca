import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { eventually } from '@mnops/core/testing';
import { describe, expect, it } from 'vitest';
import { turnWriter } from './turn-writer.js';

const refusal = (code: string): Error => Object.assign(new Error(code), { code });

describe('turnWriter', () => {
  it('writes the lines of a turn with one call', async () => {
    const writes: string[] = [];
    const writer = turnWriter({
      maxQueueBytes: 1000,
      write: (bytes, offset, length) => {
        writes.push(Buffer.from(bytes.subarray(offset, offset + length)).toString());
        return length;
      },
    });
    writer.push('a\n');
    writer.push('\u00e4\ud83d\ude00\n');
    expect(writes).toEqual([]);
    await new Promise((resolve) => setImmediate(resolve));
    expect(writes).toEqual(['a\n\u00e4\ud83d\ude00\n']);
  });

  it('keeps every byte in order through EAGAIN and short writes', async () => {
    let taken = '';
    let calls = 0;
    const writer = turnWriter({
      maxQueueBytes: 1 << 20,
      write: (bytes, offset, length) => {
        calls += 1;
        if (calls % 3 === 1) throw refusal('EAGAIN');
        const some = Math.min(length, 7);
        taken += Buffer.from(bytes.subarray(offset, offset + some)).toString('latin1');
        return some;
      },
    });
    const lines = Array.from({ length: 50 }, (_, index) => `line number ${index}\n`);
    for (const line of lines) {
      writer.push(line);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await eventually(async () => expect(writer.queuedBytes).toBe(0));
    expect(taken).toBe(lines.join(''));
    expect(writer.failing).toBe(false);
  });

  it('counts what a full disk costs, never tears a line, and goes on by itself', async () => {
    let full = false;
    let taken = '';
    const told: string[] = [];
    let dropped = 0;
    const writer = turnWriter({
      maxQueueBytes: 100,
      retryMs: 5,
      write: (bytes, offset, length) => {
        if (full) throw refusal('ENOSPC');
        taken += Buffer.from(bytes.subarray(offset, offset + length)).toString();
        return length;
      },
      events: {
        failed: () => told.push('failed'),
        recovered: () => told.push('recovered'),
        dropped: (lines) => {
          dropped += lines;
        },
      },
    });
    full = true;
    for (let index = 0; index < 30; index += 1) {
      writer.push(`line ${index}\n`);
      writer.flushNow();
    }
    expect(writer.queuedBytes).toBeLessThanOrEqual(100);
    full = false;
    await eventually(async () => expect(told).toEqual(['failed', 'recovered']));
    const lines = taken.trimEnd().split('\n');
    expect(lines.length + dropped).toBe(30);
    expect(lines.at(-1)).toBe('line 29');
    for (const line of lines) expect(line).toMatch(/^line \d+$/);
  });

  it('gives a slow reader of standard output every line, also at exit', async () => {
    const program = fileURLToPath(new URL('../fixtures/console-process.ts', import.meta.url));
    const child = spawn(process.execPath, ['--conditions=@mnops/source', '--import', 'tsx', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let text = '';
    await new Promise((resolve) => setTimeout(resolve, 300));
    child.stdout.on('data', (chunk) => {
      text += chunk;
    });
    await once(child, 'close');
    const indexes = text
      .trimEnd()
      .split('\n')
      .map((line) => (JSON.parse(line) as { attributes: { index: number } }).attributes.index);
    expect(indexes).toEqual(Array.from({ length: 5000 }, (_, index) => index));
  });
});
