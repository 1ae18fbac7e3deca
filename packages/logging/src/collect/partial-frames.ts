import type { JsonValue, LogFrame } from '@mnops/core/spi';

/** A frame whose parts are joined. */
export interface WholeFrame {
  readonly text: string;
  /** Time, channel and attributes of its first part. */
  readonly frame: LogFrame;
  /** It was cut because it grew over the limit. */
  readonly cut: boolean;
}

/** Joins the parts of lines that a source delivers in pieces. */
export interface PartialFrames {
  /** Takes a frame; a whole line when it completes one. */
  take(stream: string, frame: LogFrame): WholeFrame | undefined;
  /** What is not complete yet, to be kept with a checkpoint. */
  save(): JsonValue;
}

interface Pending {
  readonly frame: LogFrame;
  readonly parts: Buffer[];
  bytes: number;
}

/** Streams with an unfinished line at the same time; the oldest is given up as it is. */
const maxStreams = 1024;

/** Makes a joiner that goes on from what an earlier one saved. */
export function partialFrames(maxBytes: number, saved: JsonValue | undefined): PartialFrames {
  const pending = restore(saved);
  return {
    take(stream, frame) {
      const key = `${frame.channel ?? ''} ${stream}`;
      const begun = pending.get(key);
      if (begun === undefined && frame.partial !== true) {
        return { text: textOf(frame.bytes), frame, cut: false };
      }
      const bytes = typeof frame.bytes === 'string' ? Buffer.from(frame.bytes) : Buffer.from(frame.bytes);
      const line = begun ?? { frame: { ...frame, bytes: '', partial: undefined }, parts: [], bytes: 0 };
      // Over the limit the rest of the line is taken and left out.
      if (line.bytes < maxBytes) line.parts.push(bytes.subarray(0, maxBytes - line.bytes));
      line.bytes += bytes.length;
      if (frame.partial === true) {
        if (begun === undefined && pending.size >= maxStreams) pending.delete(pending.keys().next().value ?? '');
        pending.set(key, line);
        return undefined;
      }
      pending.delete(key);
      return { text: Buffer.concat(line.parts).toString(), frame: line.frame, cut: line.bytes > maxBytes };
    },
    save: () => {
      if (pending.size === 0) return null;
      return [...pending].map(([key, { frame, parts, bytes }]) => ({
        key,
        frame: JSON.parse(JSON.stringify({ ...frame, bytes: '' })) as JsonValue,
        text: Buffer.concat(parts).toString('base64'),
        bytes,
      }));
    },
  };
}

function restore(saved: JsonValue | undefined): Map<string, Pending> {
  const pending = new Map<string, Pending>();
  if (!Array.isArray(saved)) return pending;
  for (const each of saved as readonly { key: string; frame: LogFrame; text: string; bytes: number }[]) {
    pending.set(each.key, { frame: each.frame, parts: [Buffer.from(each.text, 'base64')], bytes: each.bytes });
  }
  return pending;
}

function textOf(bytes: Uint8Array | string): string {
  return typeof bytes === 'string' ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString();
}
