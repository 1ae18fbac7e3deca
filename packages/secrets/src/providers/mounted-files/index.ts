import { resolve } from 'node:path';
import { coreError } from '@mnops/core';
import { countSchema, parseOptions, textSchema } from '@mnops/core/config';
import type { SecretProvider, SecretRecord } from '@mnops/core/spi';
import * as v from 'valibot';
import { changeFeed } from '../../store/change-feed.js';
import {
  currentRecord,
  currentValue,
  currentVersion,
  isCurrent,
  readOnlyCapabilities,
  refusedWrites,
  valueVersions,
} from '../../store/current-only.js';
import { FolderReader } from './folder-read.js';
import { watchFolder } from './folder-watch.js';

/** Where secrets are mounted as files. */
export interface MountedFilesOptions {
  /** Folder of the files, such as `/run/secrets` or where a Kubernetes Secret is mounted. */
  readonly folder: string;
  /** `keep`: the bytes as they are. `trim`: without one line end at the end, which editors and `echo` add. Default `keep`. */
  readonly trailingNewline?: 'keep' | 'trim' | undefined;
  /** Most bytes of one file. Default 1 MiB, which is what Kubernetes takes. */
  readonly maxValueBytes?: number | undefined;
  /** Milliseconds between two looks at the folder while changes are followed. Default 10,000. */
  readonly pollMs?: number | undefined;
}

const optionsSchema = v.strictObject({
  folder: textSchema,
  trailingNewline: v.optional(v.picklist(['keep', 'trim']), 'keep'),
  maxValueBytes: v.optional(countSchema, 1024 * 1024),
  pollMs: v.optional(v.pipe(countSchema, v.maxValue(2_147_483_647)), 10_000),
});

/**
 * Reads secrets from files that something else puts there: one file per secret, folders are segments of the path.
 *
 * A set of files that Kubernetes exchanges as a whole (by its link `..data`) is followed; names that begin with two dots
 * are not seen. A link that leads out of the folder is refused with `MNOPS_CORE_ACCESS_DENIED`, a file that this process
 * may not read too; a folder that is missing is `MNOPS_CORE_STORAGE_FAILED`.
 *
 * The version is made from the content with a key of this process: it changes with the content and tells nothing about it.
 *
 * @throws {MnopsError} `MNOPS_CORE_CONFIG_INVALID`
 */
export function mountedFiles(options: MountedFilesOptions): SecretProvider {
  const { folder, trailingNewline, maxValueBytes, pollMs } = parseOptions('mountedFiles', optionsSchema, options);
  const reader = new FolderReader(resolve(folder), maxValueBytes);
  const versionOf = valueVersions();
  const feed = changeFeed();
  let endWatch: (() => void) | undefined;
  let closed = false;

  function assertOpen(signal: AbortSignal): void {
    signal.throwIfAborted();
    if (closed) throw coreError('MNOPS_CORE_CLOSED', 'The provider is closed.', { provider: 'mounted-files' });
  }

  async function valueAt(path: string): Promise<{ readonly bytes: Uint8Array; readonly atMs: number } | undefined> {
    const read = await reader.read(path);
    if (read === undefined || trailingNewline === 'keep') return read;
    return { bytes: withoutLineEnd(read.bytes), atMs: read.atMs };
  }

  async function recordAt(path: string): Promise<SecretRecord | undefined> {
    const found = await valueAt(path);
    return found === undefined ? undefined : currentRecord(path, versionOf(found.bytes), found.atMs);
  }

  return {
    specVersion: 1,
    kind: 'secret-provider',
    id: 'mounted-files',
    capabilities: { ...readOnlyCapabilities, binary: 'native', maxValueBytes, watch: 'emulated' },
    ...refusedWrites('mounted-files', 'Change the secret where it is mounted from.'),
    async open(call) {
      assertOpen(call.signal);
      await reader.root();
    },
    async close() {
      closed = true;
      endWatch?.();
      feed.close();
    },
    async get(path, at, call) {
      assertOpen(call.signal);
      const found = await valueAt(path);
      if (found === undefined) return undefined;
      const version = versionOf(found.bytes);
      return isCurrent(version, at) ? currentValue(found.bytes, version, found.atMs) : undefined;
    },
    async describe(path, call) {
      assertOpen(call.signal);
      return await recordAt(path);
    },
    async *listVersions(path, call) {
      assertOpen(call.signal);
      const record = await recordAt(path);
      if (record !== undefined) yield* currentVersion(record);
    },
    async *list(prefix, call) {
      assertOpen(call.signal);
      for (const path of await reader.paths()) {
        call.signal.throwIfAborted();
        if (!path.startsWith(prefix)) continue;
        // One file that cannot be read does not hide the others; reading it tells why.
        const record = await recordAt(path).catch(() => currentRecord(path, undefined, Date.now()));
        if (record !== undefined) yield record;
      }
    },
    watch(prefix, call) {
      assertOpen(call.signal);
      endWatch ??= watchFolder({ reader, intervalMs: pollMs, feed, mark: versionOf });
      return feed.watch(prefix, call.signal);
    },
  };
}

function withoutLineEnd(bytes: Buffer): Uint8Array {
  if (bytes.at(-1) !== 0x0a) return bytes;
  return bytes.subarray(0, bytes.at(-2) === 0x0d ? -2 : -1);
}
