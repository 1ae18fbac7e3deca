import { wrongSize } from './object-name.js';

/** The pieces of a body, stopping at once when the signal aborts. */
export async function* pieces(
  body: Uint8Array | AsyncIterable<Uint8Array>,
  options: { readonly id: string; readonly signal: AbortSignal; readonly size?: number | undefined },
): AsyncGenerator<Uint8Array> {
  const { id, signal, size } = options;
  signal.throwIfAborted();
  let seen = 0;
  if (body instanceof Uint8Array) {
    seen = body.length;
    if (size !== undefined && seen !== size) throw wrongSize(id, size);
    yield body;
    return;
  }
  for await (const piece of body) {
    signal.throwIfAborted();
    seen += piece.length;
    if (size !== undefined && seen > size) throw wrongSize(id, size);
    yield piece;
  }
  if (size !== undefined && seen !== size) throw wrongSize(id, size);
}

/** First byte and the one after the last, within an object; beyond its end both are the end. */
export function clampedRange(
  range: { readonly start: number; readonly end?: number | undefined } | undefined,
  size: number,
): { readonly start: number; readonly end: number } {
  const start = Math.min(Math.max(0, range?.start ?? 0), size);
  return { start, end: Math.max(start, Math.min(range?.end ?? size, size)) };
}
