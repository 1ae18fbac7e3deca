import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { publishedPackages } from '../repository.js';
import { runTool } from './gate.js';

/** The packages as users get them. */
export interface PackedPackages {
  /** Path of each tarball by package id. */
  readonly tarballs: ReadonlyMap<string, string>;
  remove(): void;
}

/** Builds every workspace; a matter of a second when nothing changed. */
export async function buildAll(): Promise<{ readonly ok: boolean; readonly output: string }> {
  const words = ['run', 'build', '--output-logs=errors-only', '--log-prefix=none', '--concurrency=2'];
  const { code, stdout, stderr } = await runTool('node_modules/turbo/bin/turbo', words);
  return { ok: code === 0, output: `${stdout}${stderr}` };
}

/** Packs every published package into a temporary folder. They must have been built. */
export async function packPackages(): Promise<PackedPackages> {
  const folder = mkdtempSync(join(tmpdir(), 'mnops-packed-'));
  const workspaces = publishedPackages.flatMap((id) => ['--workspace', `packages/${id}`]);
  const { code, stdout, stderr } = await runTool('npm', [
    'pack',
    '--json',
    '--pack-destination',
    folder,
    ...workspaces,
  ]);
  if (code !== 0) throw new Error(`npm pack failed:\n${stdout}${stderr}`);
  const packed = JSON.parse(stdout) as Record<string, PackedEntry> | readonly PackedEntry[];
  const entries = Object.values(packed) as readonly PackedEntry[];
  const tarballs = new Map(entries.map(({ name, filename }) => [name.replace('@mnops/', ''), join(folder, filename)]));
  return { tarballs, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

interface PackedEntry {
  readonly name: string;
  readonly filename: string;
}
