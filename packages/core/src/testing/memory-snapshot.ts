import { chmod, lstat, mkdir, readdir, readFile, readlink, rename, symlink, writeFile } from 'node:fs/promises';
import { dirname, join, sep } from 'node:path';
import { coreError } from '../errors/core-error.js';
import type { SnapshotEntry, SnapshotReader, SnapshotSink } from '../spi/recoverable.js';

/** A snapshot kept in memory, with the sink that fills it and the reader that serves it. */
export interface MemorySnapshot {
  readonly sink: SnapshotSink;
  readonly reader: SnapshotReader;
  /** Bytes by path. A test may change, add or remove some to play a damaged backup. */
  readonly files: Map<string, Buffer>;
}

/** Makes an empty snapshot in memory, for tests of a `Recoverable`. */
export function memorySnapshot(): MemorySnapshot {
  const files = new Map<string, Buffer>();
  const facts = new Map<string, { mode?: number | undefined; modifiedMs?: number | undefined }>();
  const links = new Map<string, string>();
  const folders = new Map<string, number>();

  async function walk(folder: string, at: string, include: (path: string) => boolean, below: string): Promise<void> {
    for (const name of (await readdir(folder)).sort()) {
      const path = join(folder, name);
      const relative = below === '' ? name : `${below}/${name}`;
      if (!include(relative)) continue;
      const target = at === '' ? relative : `${at}/${relative}`;
      const stat = await lstat(path);
      if (stat.isDirectory()) {
        folders.set(target, stat.mode & 0o7777);
        await walk(path, at, include, relative);
      } else if (stat.isSymbolicLink()) {
        links.set(target, await readlink(path));
      } else if (stat.isFile()) {
        files.set(target, await readFile(path));
        facts.set(target, { mode: stat.mode & 0o7777, modifiedMs: Math.trunc(stat.mtimeMs) });
      }
    }
  }

  const sink: SnapshotSink = {
    async addTree(folder, options = {}) {
      const at = options.at ?? '';
      if (at !== '') assertPath(at);
      await walk(folder, at, options.include ?? (() => true), '');
    },
    async addStream(entry, body) {
      assertPath(entry.path);
      const chunks: Uint8Array[] = [];
      for await (const chunk of body) chunks.push(Buffer.from(chunk));
      const bytes = Buffer.concat(chunks);
      if (entry.size !== undefined && entry.size !== bytes.length) {
        throw coreError('MNOPS_CORE_CONFLICT', `Entry ${entry.path} said ${entry.size} bytes and had ${bytes.length}.`);
      }
      files.set(entry.path, bytes);
      facts.set(entry.path, { mode: entry.mode, modifiedMs: entry.modifiedMs });
    },
  };

  const reader: SnapshotReader = {
    async *entries() {
      for (const path of [...files.keys()].sort(byBytes)) {
        const entry: SnapshotEntry = { path, size: files.get(path)?.length, ...facts.get(path) };
        yield entry;
      }
    },
    async *read(path) {
      const bytes = files.get(path);
      if (bytes === undefined) throw coreError('MNOPS_CORE_NOT_FOUND', `The snapshot holds no file ${path}.`);
      for (let start = 0; start < bytes.length; start += 65_536) yield bytes.subarray(start, start + 65_536);
    },
    async restoreTree(folder, options = {}) {
      const from = options.from ?? '';
      const inside = (path: string): string | undefined => {
        if (from === '') return path;
        return path.startsWith(`${from}/`) ? path.slice(from.length + 1) : undefined;
      };
      await mkdir(folder, { recursive: true });
      for (const path of folders.keys()) {
        const relative = inside(path);
        if (relative !== undefined) await mkdir(place(folder, relative), { recursive: true });
      }
      for (const [path, bytes] of files) {
        const relative = inside(path);
        if (relative === undefined) continue;
        const target = place(folder, relative);
        await mkdir(dirname(target), { recursive: true });
        await writeFile(`${target}.restoring`, bytes, { mode: facts.get(path)?.mode ?? 0o600 });
        await chmod(`${target}.restoring`, facts.get(path)?.mode ?? 0o600);
        await rename(`${target}.restoring`, target);
      }
      for (const [path, target] of links) {
        const relative = inside(path);
        if (relative !== undefined) await symlink(target, place(folder, relative));
      }
      for (const [path, mode] of [...folders].reverse()) {
        const relative = inside(path);
        if (relative !== undefined) await chmod(place(folder, relative), mode);
      }
    },
  };
  return { sink, reader, files };
}

function place(folder: string, relative: string): string {
  return join(folder, relative.split('/').join(sep));
}

function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/** Paths of a snapshot are relative and stay inside it. */
function assertPath(path: string): void {
  if (path.split('/').some((segment) => segment === '' || segment === '.' || segment === '..')) {
    throw coreError('MNOPS_CORE_CONFIG_INVALID', 'A snapshot path has an empty, "." or ".." segment.', {
      details: { issues: [{ field: 'path', expected: 'a relative path', received: 'another', remedy: 'Remove it.' }] },
    });
  }
}
