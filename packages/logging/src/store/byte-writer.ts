/** Appends numbers and sections to a growing buffer. */
export interface ByteWriter {
  varint(value: number): void;
  /** A signed integer, small when it is near zero. */
  zigzag(value: number): void;
  bytes(): Buffer;
}

/** Makes a writer of variable-length integers (LEB128), up to 2^53. */
export function byteWriter(): ByteWriter {
  let buffer = Buffer.allocUnsafe(4096);
  let length = 0;
  const varint = (value: number): void => {
    if (length + 10 > buffer.length) buffer = Buffer.concat([buffer.subarray(0, length)], buffer.length * 2);
    let rest = value;
    while (rest >= 0x80) {
      buffer[length] = (rest % 0x80) | 0x80;
      length += 1;
      rest = Math.floor(rest / 0x80);
    }
    buffer[length] = rest;
    length += 1;
  };
  return {
    varint,
    zigzag: (value) => varint(value >= 0 ? value * 2 : -value * 2 - 1),
    bytes: () => buffer.subarray(0, length),
  };
}

/** Reads what a `ByteWriter` wrote. Past the end it throws a RangeError. */
export interface ByteReader {
  varint(): number;
  zigzag(): number;
}

/** Reads variable-length integers. */
export function byteReader(bytes: Uint8Array): ByteReader {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    let unit = 1;
    for (;;) {
      const byte = bytes[at];
      if (byte === undefined) throw new RangeError('a column ends too early');
      at += 1;
      value += (byte & 0x7f) * unit;
      if (byte < 0x80) return value;
      unit *= 0x80;
    }
  };
  return {
    varint,
    zigzag: () => {
      const value = varint();
      return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
    },
  };
}
