/**
 * Writes MessagePack (the format's own specification, msgpack/spec.md) into one growing buffer. A map or a list begins
 * with the count of its entries, which the caller writes next.
 */
export class MessagePackWriter {
  #buffer: Buffer = Buffer.allocUnsafe(65_536);
  #length = 0;

  /** Bytes written so far. */
  get length(): number {
    return this.#length;
  }

  /** What was written. */
  bytes(): Uint8Array {
    return this.#buffer.subarray(0, this.#length);
  }

  /** Begins a list of so many items. */
  list(count: number): void {
    this.#head(count, 0x90, 0xdc);
  }

  /** Begins a map of so many pairs of a key and a value. */
  map(count: number): void {
    this.#head(count, 0x80, 0xde);
  }

  /** A text, as UTF-8; half characters become U+FFFD. */
  text(text: string): void {
    // UTF-8 has at most three bytes for each UTF-16 unit.
    const room = 5 + text.length * 3;
    this.#reserve(room);
    const size = text.length < 11 ? this.#shortText(text) : Buffer.byteLength(text);
    if (size < 0) return;
    if (size < 32) this.#byte(0xa0 | size);
    else if (size < 0x100) {
      this.#byte(0xd9);
      this.#byte(size);
    } else if (size < 0x1_0000) {
      this.#byte(0xda);
      this.#length = this.#buffer.writeUInt16BE(size, this.#length);
    } else {
      this.#byte(0xdb);
      this.#length = this.#buffer.writeUInt32BE(size, this.#length);
    }
    this.#length += this.#buffer.write(text, this.#length, 'utf8');
  }

  /** A whole number from 0 to 2^64 - 1, in nine bytes. */
  unsigned64(value: bigint): void {
    this.#reserve(9);
    this.#byte(0xcf);
    this.#length = this.#buffer.writeBigUInt64BE(BigInt.asUintN(64, value), this.#length);
  }

  /** A whole number of 64 bits with a sign, in nine bytes. */
  signed64(value: bigint): void {
    this.#reserve(9);
    this.#byte(0xd3);
    this.#length = this.#buffer.writeBigInt64BE(BigInt.asIntN(64, value), this.#length);
  }

  /** A whole number from 0 to 127, in one byte. */
  small(value: number): void {
    this.#reserve(1);
    this.#byte(value & 0x7f);
  }

  /** True or false. */
  flag(value: boolean): void {
    this.#reserve(1);
    this.#byte(value ? 0xc3 : 0xc2);
  }

  /** A number as a float of 64 bits. */
  float64(value: number): void {
    this.#reserve(9);
    this.#byte(0xcb);
    this.#length = this.#buffer.writeDoubleBE(value, this.#length);
  }

  /** Writes a text of few ASCII characters at once and answers -1; answers the size of any other. */
  #shortText(text: string): number {
    const start = this.#length;
    for (let i = 0; i < text.length; i += 1) {
      const unit = text.charCodeAt(i);
      if (unit > 0x7f) return Buffer.byteLength(text);
      this.#buffer[start + 1 + i] = unit;
    }
    this.#buffer[start] = 0xa0 | text.length;
    this.#length = start + 1 + text.length;
    return -1;
  }

  #head(count: number, short: number, long: number): void {
    this.#reserve(5);
    if (count < 16) this.#byte(short | count);
    else if (count < 0x1_0000) {
      this.#byte(long);
      this.#length = this.#buffer.writeUInt16BE(count, this.#length);
    } else {
      this.#byte(long + 1);
      this.#length = this.#buffer.writeUInt32BE(count, this.#length);
    }
  }

  #byte(value: number): void {
    this.#buffer[this.#length] = value;
    this.#length += 1;
  }

  #reserve(bytes: number): void {
    const needed = this.#length + bytes;
    if (needed <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(needed, this.#buffer.length * 2));
    this.#buffer.copy(larger, 0, 0, this.#length);
    this.#buffer = larger;
  }
}
