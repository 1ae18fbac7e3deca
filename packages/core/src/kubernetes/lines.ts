import { coreError } from '../errors/core-error.js';

/** A stream of bytes as lines without their ends; blank ones are left out, a last one without an end is dropped as cut. */
export async function* linesOf(chunks: AsyncIterable<Uint8Array>, maxBytes: number): AsyncGenerator<string> {
  let rest: Buffer[] = [];
  let size = 0;
  for await (const chunk of chunks) {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    let start = 0;
    for (let end = bytes.indexOf(10, start); end >= 0; end = bytes.indexOf(10, start)) {
      const line = Buffer.concat([...rest, bytes.subarray(start, end)]);
      if (line.length > maxBytes) throw tooLong(maxBytes);
      rest = [];
      size = 0;
      start = end + 1;
      const text = line.toString('utf8').trim();
      if (text !== '') yield text;
    }
    if (start === bytes.length) continue;
    rest.push(bytes.subarray(start));
    size += bytes.length - start;
    if (size > maxBytes) throw tooLong(maxBytes);
  }
}

function tooLong(maxBytes: number): Error {
  return coreError('MNOPS_CORE_TOO_LARGE', `kubernetes: an event of a watch is over maxBytes, ${maxBytes}.`, {
    provider: 'kubernetes',
    operation: 'watch',
    details: { maxBytes },
  });
}
