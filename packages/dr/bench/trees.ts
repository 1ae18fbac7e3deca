import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Repeatable numbers from 0 to below 1. */
export function numbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let value = Math.imul(state ^ (state >>> 15), 1 | state);
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value;
    return ((value ^ (value >>> 14)) >>> 0) / 4_294_967_296;
  };
}

function randomBytes(length: number, seed: string): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  for (let at = 0, index = 0; at < length; at += 64, index++) {
    createHash('sha512').update(`${seed} ${index}`).digest().copy(bytes, at);
  }
  return bytes;
}

const words =
  'time level info warn error service request response order catalog gateway took ms id user path status'.split(' ');

function text(length: number, random: () => number): Buffer {
  const parts: string[] = [];
  for (let size = 0; size < length; ) {
    const line = `${Math.floor(random() * 1e9)} ${words[Math.floor(random() * words.length)]} ${words[Math.floor(random() * words.length)]} ${Math.floor(random() * 1e5)}\n`;
    parts.push(line);
    size += line.length;
  }
  return Buffer.from(parts.join('')).subarray(0, length);
}

/** Many small files, sizes lognormal with a mean of about 7 KB, 30 % without a pattern, 100 a folder. Returns their bytes. */
export function manySmall(folder: string, count: number): number {
  const random = numbers(1);
  let bytes = 0;
  for (let index = 0; index < count; index++) {
    const below = join(folder, String(Math.floor(index / 10_000)), String(Math.floor(index / 100) % 100));
    if (index % 100 === 0) mkdirSync(below, { recursive: true });
    const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
    const length = Math.min(2_000_000, Math.round(Math.exp(8 + 1.3 * normal)));
    const content = random() < 0.3 ? randomBytes(length, `s${index}`) : text(length, random);
    writeFileSync(join(below, `file-${index}`), content);
    bytes += length;
  }
  return bytes;
}

/** A few large files, half without a pattern, half text. */
export function fewLarge(folder: string, count: number, bytesEach: number): number {
  mkdirSync(folder, { recursive: true });
  for (let index = 0; index < count; index++) {
    const content = index % 2 === 0 ? randomBytes(bytesEach, `l${index}`) : text(bytesEach, numbers(index));
    writeFileSync(join(folder, `large-${index}`), content);
  }
  return count * bytesEach;
}

/** What a child process used. */
export interface Usage {
  readonly cpuMs: number;
  readonly wallMs: number;
}

/** Runs restic and says what it used, threads and all, by bash's own clock. */
export function timedRestic(repository: string, passphrase: string, args: readonly string[]): Usage {
  const script = `TIMEFORMAT='%U %S %R'; time restic --no-cache --quiet "$@" >/dev/null`;
  const env = { ...process.env, RESTIC_REPOSITORY: repository, RESTIC_PASSWORD: passphrase };
  const said = execFileSync('bash', ['-c', `{ ${script}; } 2>&1`, 'restic', ...args], { env, encoding: 'utf8' });
  const [user = 0, system = 0, real = 0] = (said.trim().split('\n').at(-1) ?? '').split(' ').map(Number);
  return { cpuMs: (user + system) * 1000, wallMs: real * 1000 };
}
