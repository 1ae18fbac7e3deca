import { open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock, JsonValue, LogBatch, LogFrame, LogSource, ServiceIdentity } from '@mnops/core/spi';
import { isEmptying, type LogChannel, logParts, readIdentity } from './log-files.js';

const pollMs = 200;
const readBytes = 256 * 1024;
const maxLineBytes = 1024 * 1024;

type Positions = Record<string, number>;

/** The output of all instances, also of those that ended. A checkpoint holds the position in each stream, in bytes since its beginning. */
export function localLogSource(options: { readonly folder: () => string; readonly clock: Clock }): LogSource {
  return {
    specVersion: 1,
    kind: 'log-source',
    id: 'local-processes',
    capabilities: { scope: 'application', resume: 'exact' },
    async *read(from, call) {
      let positions = positionsOf(from.checkpoint);
      const identities = new Map<string, ServiceIdentity | undefined>();
      while (!call.signal.aborted) {
        let idle = true;
        for (const stream of await streams(join(options.folder(), 'logs'))) {
          if (!identities.has(stream.folder)) identities.set(stream.folder, await readIdentity(stream.folder));
          for (;;) {
            const part = await readSome(stream, positions[stream.name] ?? 0);
            if (part === undefined) break;
            idle = false;
            positions = { ...positions, [stream.name]: part.end };
            const identity = identities.get(stream.folder);
            const batch: LogBatch = { stream: stream.name, frames: part.frames, checkpoint: { streams: positions } };
            yield identity === undefined ? batch : { ...batch, identity };
            if (call.signal.aborted) return;
          }
        }
        if (idle) await options.clock.sleep(pollMs, call.signal).catch(() => undefined);
      }
    },
  };
}

interface Stream {
  readonly name: string;
  readonly folder: string;
  readonly channel: LogChannel;
}

async function streams(root: string): Promise<readonly Stream[]> {
  const found: Stream[] = [];
  for (const service of await readdir(root).catch(() => [])) {
    for (const instance of await readdir(join(root, service)).catch(() => [])) {
      for (const channel of ['stdout', 'stderr'] as const) {
        found.push({ name: `${service}/${instance}/${channel}`, folder: join(root, service, instance), channel });
      }
    }
  }
  return found;
}

/** Whole lines from a position on; `undefined` when there is none yet. */
async function readSome(
  { folder, channel }: Stream,
  position: number,
): Promise<{ readonly frames: readonly LogFrame[]; readonly end: number } | undefined> {
  if (isEmptying(folder, channel)) return undefined;
  const parts = await logParts(folder, channel);
  // What was rotated away before it was read is gone: go on with the oldest that is kept.
  let from = Math.max(position, parts[0]?.start ?? 0);
  for (const [index, part] of parts.entries()) {
    const next = parts[index + 1];
    if (next !== undefined && from >= next.start) continue;
    const handle = await open(part.file, 'r').catch(() => undefined);
    if (handle === undefined) return undefined;
    try {
      const bytes = Buffer.alloc(readBytes);
      const { bytesRead } = await handle.read(bytes, 0, readBytes, from - part.start);
      // Asked again after the read: the emptying may have begun in between.
      if (isEmptying(folder, channel)) return undefined;
      if (bytesRead === 0 && next !== undefined) {
        // What followed was cut when the part was rotated.
        from = next.start;
        continue;
      }
      const found = framesIn(bytes.subarray(0, bytesRead), channel, next !== undefined);
      return found.used === 0 ? undefined : { frames: found.frames, end: from + found.used };
    } finally {
      await handle.close();
    }
  }
  return undefined;
}

function framesIn(
  bytes: Buffer,
  channel: LogChannel,
  closed: boolean,
): { readonly frames: readonly LogFrame[]; readonly used: number } {
  const frames: LogFrame[] = [];
  let used = 0;
  for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, used)) {
    frames.push({ bytes: bytes.subarray(used, end), channel });
    used = end + 1;
  }
  // A line without an end: complete when nothing more can come, cut when it is over every bound.
  const rest = bytes.length - used;
  if (used === 0 && rest > 0 && (rest >= Math.min(maxLineBytes, readBytes) || closed)) {
    frames.push({ bytes: bytes.subarray(used), channel, partial: true });
    used = bytes.length;
  }
  return { frames, used };
}

function positionsOf(checkpoint: JsonValue | undefined): Positions {
  const given = (checkpoint as { streams?: unknown } | undefined)?.streams;
  if (typeof given !== 'object' || given === null) return {};
  return Object.fromEntries(
    Object.entries(given).filter((entry): entry is [string, number] => typeof entry[1] === 'number'),
  );
}
