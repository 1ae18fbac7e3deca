/**
 * A body cut into parts of one size, the last one smaller. There is always a first part, empty for an empty body.
 *
 * @param body - Pieces of any size.
 */
export async function* partsOf(body: AsyncIterable<Uint8Array>, partBytes: number): AsyncGenerator<Buffer> {
  let pending: Uint8Array[] = [];
  let size = 0;
  let yielded = 0;
  for await (const piece of body) {
    for (let at = 0; at < piece.length; ) {
      const taken = piece.subarray(at, at + partBytes - size);
      pending.push(Buffer.from(taken)); // its owner may change it before the part is full
      size += taken.length;
      at += taken.length;
      if (size < partBytes) continue;
      yield Buffer.concat(pending);
      yielded += 1;
      pending = [];
      size = 0;
    }
  }
  if (size > 0 || yielded === 0) yield Buffer.concat(pending);
}
