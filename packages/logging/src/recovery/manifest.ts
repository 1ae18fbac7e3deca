import { createReadStream } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { codeOf, coreError, storageError } from '@mnops/core';
import type { SnapshotSink } from '@mnops/core/spi';

/** What a snapshot holds: each file with its size and check value, so that a missing one is noticed. */
export interface Manifest {
  readonly version: 1;
  readonly files: Readonly<Record<string, { readonly bytes: number; readonly crc32: number }>>;
}

const manifestPath = 'manifest.json';

/** A sink that notes what goes through it; `finish` adds the manifest. */
export function notingSink(sink: SnapshotSink): {
  add(path: string, size: number, modifiedMs: number | undefined, body: AsyncIterable<Uint8Array>): Promise<void>;
  finish(): Promise<void>;
} {
  const files: Record<string, { bytes: number; crc32: number }> = {};
  return {
    async add(path, size, modifiedMs, body) {
      const seen = { bytes: 0, crc32: 0 };
      await sink.addStream({ path, size, modifiedMs }, noted(body, seen));
      files[path] = seen;
    },
    async finish() {
      const bytes = Buffer.from(JSON.stringify({ version: 1, files } satisfies Manifest));
      await sink.addStream({ path: manifestPath, size: bytes.length }, noted([bytes], { bytes: 0, crc32: 0 }));
    },
  };
}

async function* noted(
  body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  seen: { bytes: number; crc32: number },
): AsyncGenerator<Uint8Array> {
  for await (const part of body) {
    seen.bytes += part.length;
    seen.crc32 = crc32(part, seen.crc32);
    yield part;
  }
}

/**
 * Checks a restored folder against its manifest and takes the manifest away.
 *
 * @throws {MnopsError} `MNOPS_CORE_STORAGE_UNREADABLE` naming the first file that is missing or differs.
 */
export async function checkRestored(folder: string): Promise<void> {
  const manifest = await readManifest(folder);
  for (const [path, expected] of Object.entries(manifest.files)) {
    const seen = { bytes: 0, crc32: 0 };
    try {
      for await (const _ of noted(createReadStream(join(folder, path)) as AsyncIterable<Uint8Array>, seen));
    } catch (error) {
      if (codeOf(error) === 'ENOENT') throw incomplete(`${path} is missing`);
      throw storageError('read', join(folder, path), error);
    }
    if (seen.bytes !== expected.bytes || seen.crc32 !== expected.crc32) throw incomplete(`${path} differs`);
  }
  await rm(join(folder, manifestPath));
}

async function readManifest(folder: string): Promise<Manifest> {
  try {
    return JSON.parse(await readFile(join(folder, manifestPath), 'utf8')) as Manifest;
  } catch (error) {
    if (error instanceof SyntaxError) throw incomplete(`${manifestPath} is damaged`);
    if (codeOf(error) === 'ENOENT') throw incomplete(`${manifestPath} is missing`);
    throw storageError('read', join(folder, manifestPath), error);
  }
}

function incomplete(why: string): Error {
  return coreError('MNOPS_CORE_STORAGE_UNREADABLE', `The snapshot of the log store is not whole: ${why}.`, {
    remedy: 'Restore from another snapshot.',
  });
}
