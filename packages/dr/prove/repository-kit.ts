import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Passphrase of every repository that tests write. */
export const passphrase = 'correct horse battery staple';

/** A temporary folder; remove it with `discard`. */
export function scratch(): string {
  return mkdtempSync(join(tmpdir(), 'mnops-dr-'));
}

export function discard(folder: string): void {
  rmSync(folder, { recursive: true, force: true });
}

/** Repeatable bytes without a pattern. */
export function noise(length: number, seed: string): Buffer {
  const parts: Buffer[] = [];
  for (let index = 0; index * 64 < length; index++)
    parts.push(createHash('sha512').update(`${seed} ${index}`).digest());
  return Buffer.concat(parts).subarray(0, length);
}

/** A small tree with what file systems have: links of both kinds, modes, odd names, empty and large files. */
export function makeTree(folder: string, largeBytes: number = 3_000_000): void {
  mkdirSync(join(folder, 'deep', 'er', 'still'), { recursive: true });
  mkdirSync(join(folder, 'empty folder'));
  writeFileSync(join(folder, 'hello.txt'), 'hello\n');
  writeFileSync(join(folder, 'empty'), '');
  writeFileSync(join(folder, 'deep', 'er', 'large.bin'), noise(largeBytes, 'large'));
  writeFileSync(join(folder, 'deep', 'er', 'still', 'text.log'), 'a line of text that repeats\n'.repeat(2000));
  writeFileSync(join(folder, 'quote"back\\slash\nline'), 'odd name');
  writeFileSync(join(folder, 'ünïcödé 😀'), 'unicode');
  writeFileSync(Buffer.concat([Buffer.from(`${folder}/caf`), Buffer.of(0xe9)]), 'not UTF-8');
  writeFileSync(join(folder, 'secret'), 'mode 600');
  chmodSync(join(folder, 'secret'), 0o600);
  writeFileSync(join(folder, 'run.sh'), '#!/bin/sh\n');
  chmodSync(join(folder, 'run.sh'), 0o4755);
  linkSync(join(folder, 'hello.txt'), join(folder, 'deep', 'same-inode'));
  symlinkSync('hello.txt', join(folder, 'link'));
  symlinkSync('/does/not/exist', join(folder, 'dangling'));
  symlinkSync('deep', join(folder, 'folder-link'));
  utimesSync(join(folder, 'hello.txt'), 1_600_000_000.123456, 1_600_000_000.123456);
  chmodSync(join(folder, 'deep', 'er'), 0o750);
  utimesSync(join(folder, 'deep', 'er'), 1_500_000_000, 1_500_000_000);
}

/** Everything that must come back, by path: kind, mode, time in milliseconds, and content. */
export function describeTree(folder: string, below: Buffer = Buffer.alloc(0)): Record<string, string> {
  const found: Record<string, string> = {};
  const here = below.length === 0 ? Buffer.from(folder) : Buffer.concat([Buffer.from(`${folder}/`), below]);
  for (const name of readdirSync(here, { encoding: 'buffer' })) {
    const relative = below.length === 0 ? name : Buffer.concat([below, Buffer.from('/'), name]);
    const path = Buffer.concat([Buffer.from(`${folder}/`), relative]);
    const stat = lstatSync(path);
    const facts = `${stat.mode.toString(8)} ${Math.round(stat.mtimeMs)} ${stat.uid}`;
    const key = relative.toString('latin1');
    if (stat.isDirectory()) {
      found[key] = `dir ${facts}`;
      Object.assign(found, describeTree(folder, relative));
    } else if (stat.isSymbolicLink()) found[key] = `link ${facts} ${readlinkSync(path)}`;
    else if (stat.isFile()) {
      found[key] = `file ${facts} ${stat.nlink} ${createHash('sha256').update(readFileSync(path)).digest('hex')}`;
    } else found[key] = `other ${facts}`;
  }
  return found;
}

/** Path of the restic command, or `undefined`. */
export function findRestic(): string | undefined {
  const found = spawnSync('restic', ['version'], { encoding: 'utf8' });
  return found.status === 0 ? 'restic' : undefined;
}

/** Runs restic on a repository; its answer, or an error with what it said. */
export function restic(repository: string, args: readonly string[], options: { readonly cwd?: string } = {}): string {
  const env = { ...process.env, RESTIC_PASSWORD: passphrase, RESTIC_REPOSITORY: repository };
  return execFileSync('restic', ['--no-cache', ...args], { env, encoding: 'utf8', stdio: 'pipe', ...options });
}
