/** Room that a writer keeps between messages; more is given back. */
const maxKept = 4 * 1_048_576;
/** Names of attributes that are kept as bytes. Names made from data must not pile up, so a full table begins anew. */
const maxNames = 2_048;
/** A text up to here is written character by character, which costs less than one call into native code. */
const maxLoop = 48;

/** Values of hexadecimal digits by character code. */
const digits = Uint8Array.from({ length: 128 }, (_, code) => {
  const value = Number.parseInt(String.fromCharCode(code), 16);
  return Number.isNaN(value) ? 0 : value;
});

// One place in three shapes: the halves of a 64-bit number are read without arithmetic on bigints.
const asBigint = new BigUint64Array(2);
const asWords = new Uint32Array(asBigint.buffer);
const asDouble = new Float64Array(asBigint.buffer);
const low = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1 ? 0 : 1;
const high = 1 - low;

/**
 * Writes protobuf's wire format from front to back into one buffer that grows. The length of a nested message is
 * reserved and filled in when it ends, so nothing is measured twice.
 *
 * Tags are given as the number on the wire: `field << 3 | wire type`.
 */
export class ProtobufWriter {
  #bytes: Buffer = Buffer.allocUnsafeSlow(65_536);
  #position = 0;
  readonly #names: Map<string, Uint8Array> = new Map();

  /** The message as bytes of its own; the writer is empty afterwards. */
  finish(): Uint8Array {
    const message = new Uint8Array(this.#position);
    message.set(this.#bytes.subarray(0, this.#position));
    this.#position = 0;
    if (this.#bytes.length > maxKept) this.#bytes = Buffer.allocUnsafeSlow(65_536);
    return message;
  }

  /** Forgets what was written since the last `finish`. */
  reset(): void {
    this.#position = 0;
  }

  /** Opens a nested message of any size. @returns What `endLarge` needs. */
  beginLarge(tag: number): number {
    this.#room(6);
    this.#bytes[this.#position] = tag;
    this.#position += 6;
    return this.#position;
  }

  /** Closes what `beginLarge` opened: its length takes five bytes, as protobuf allows, so nothing is moved. */
  endLarge(start: number): void {
    const bytes = this.#bytes;
    let length = this.#position - start;
    for (let i = start - 5; i < start - 1; i += 1) {
      bytes[i] = (length & 0x7f) | 0x80;
      length >>>= 7;
    }
    bytes[start - 1] = length;
  }

  /** Opens a nested message that is mostly below 16 KiB. @returns What `end` needs. */
  begin(tag: number): number {
    this.#room(3);
    this.#bytes[this.#position] = tag;
    this.#position += 3;
    return this.#position;
  }

  /** Closes what `begin` opened. */
  end(start: number): void {
    const length = this.#position - start;
    if (length < 0x4000) {
      this.#bytes[start - 2] = (length & 0x7f) | 0x80;
      this.#bytes[start - 1] = length >>> 7;
      return;
    }
    this.#room(3);
    this.#bytes.copyWithin(start + 3, start, this.#position);
    this.#position += 3;
    let rest = length;
    for (let i = start - 2; i < start + 2; i += 1) {
      this.#bytes[i] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.#bytes[start + 2] = rest;
  }

  /** A whole number from 0 to 2^32 - 1. */
  unsigned(tag: number, value: number): void {
    this.#room(6);
    this.#bytes[this.#position] = tag;
    this.#position += 1;
    this.#varint(value >>> 0);
  }

  /** Four bytes; the tag may have two. */
  fixed32(tag: number, value: number): void {
    this.#room(9);
    this.#varint(tag);
    const bytes = this.#bytes;
    const position = this.#position;
    bytes[position] = value;
    bytes[position + 1] = value >>> 8;
    bytes[position + 2] = value >>> 16;
    bytes[position + 3] = value >>> 24;
    this.#position = position + 4;
  }

  /** Eight bytes of a number from 0 to 2^64 - 1. */
  fixed64(tag: number, value: bigint): void {
    asBigint[0] = value;
    this.#words(tag, asWords[low] as number, asWords[high] as number);
  }

  /** The sum of two numbers as `fixed64` writes it. */
  fixed64Sum(tag: number, value: bigint, more: bigint): void {
    asBigint[0] = value;
    asBigint[1] = more;
    const sum = (asWords[low] as number) + (asWords[2 + low] as number);
    const carry = sum > 0xffff_ffff ? 1 : 0;
    this.#words(tag, sum >>> 0, ((asWords[high] as number) + (asWords[2 + high] as number) + carry) >>> 0);
  }

  /** Hexadecimal digits as half as many bytes. */
  hex(tag: number, text: string): void {
    const count = text.length >>> 1;
    this.#room(count + 6);
    const bytes = this.#bytes;
    bytes[this.#position] = tag;
    this.#position += 1;
    this.#varint(count);
    let position = this.#position;
    for (let i = 0; i + 1 < text.length; i += 2) {
      const first = digits[text.charCodeAt(i) & 0x7f] as number;
      bytes[position] = (first << 4) | (digits[text.charCodeAt(i + 1) & 0x7f] as number);
      position += 1;
    }
    this.#position = position;
  }

  /** A text in UTF-8; halves of characters become U+FFFD. */
  text(tag: number, text: string): void {
    const { length } = text;
    this.#room(length * 3 + 6);
    const at = this.#position;
    const bytes = this.#bytes;
    bytes[at] = tag;
    if (length <= maxLoop && ascii(bytes, at + 2, text)) {
      bytes[at + 1] = length;
      this.#position = at + 2 + length;
    } else if (length <= 0x1f_ff) {
      this.#position = at + 3 + bytes.write(text, at + 3, 'utf8');
      this.end(at + 3);
    } else {
      this.#position = at + 6 + bytes.write(text, at + 6, 'utf8');
      this.endLarge(at + 6);
    }
  }

  /** An attribute as a `KeyValue`; a value of a kind that OTLP does not have is left out. */
  attribute(tag: number, key: string, value: unknown): void {
    const kind = typeof value;
    if (kind !== 'string' && kind !== 'number' && kind !== 'boolean' && !Array.isArray(value)) return;
    const name = this.#names.get(key) ?? this.#nameOf(key);
    const count = name.length;
    if (kind === 'string' && count <= 64) {
      const text = value as string;
      const { length } = text;
      if (length <= maxLoop) {
        this.#room(count + length + 8);
        const bytes = this.#bytes;
        const at = this.#position;
        if (ascii(bytes, at + count + 6, text)) {
          bytes[at] = tag;
          bytes[at + 1] = count + length + 4;
          for (let i = 0; i < count; i += 1) bytes[at + 2 + i] = name[i] as number;
          const rest = at + 2 + count;
          bytes[rest] = 0x12;
          bytes[rest + 1] = length + 2;
          bytes[rest + 2] = 0x0a;
          bytes[rest + 3] = length;
          this.#position = rest + 4 + length;
          return;
        }
      }
    }
    const start = this.begin(tag);
    this.#room(count + 8);
    this.#bytes.set(name, this.#position);
    this.#position += count;
    this.value(0x12, value);
    this.end(start);
  }

  /** An `AnyValue`; one of a kind that OTLP does not have is empty. */
  value(tag: number, value: unknown): void {
    switch (typeof value) {
      case 'string': {
        const start = this.begin(tag);
        this.text(0x0a, value);
        this.end(start);
        return;
      }
      case 'boolean': {
        this.#room(4);
        const bytes = this.#bytes;
        const at = this.#position;
        bytes[at] = tag;
        bytes[at + 1] = 2;
        bytes[at + 2] = 0x10;
        bytes[at + 3] = value ? 1 : 0;
        this.#position = at + 4;
        return;
      }
      case 'number':
        this.#number(tag, value);
        return;
      default: {
        const start = this.begin(tag);
        if (Array.isArray(value)) {
          const list = this.begin(0x2a);
          for (const item of value as readonly unknown[]) {
            // Lists within lists are none of OpenTelemetry's values.
            this.value(0x0a, Array.isArray(item) ? undefined : item);
          }
          this.end(list);
        }
        this.end(start);
      }
    }
  }

  #number(tag: number, value: number): void {
    this.#room(12);
    const at = this.#position;
    this.#bytes[at] = tag;
    if (!Number.isSafeInteger(value)) {
      this.#bytes[at + 1] = 9;
      this.#position = at + 2;
      asDouble[0] = value;
      this.#words(0x21, asWords[low] as number, asWords[high] as number);
      return;
    }
    this.#bytes[at + 2] = 0x18;
    this.#position = at + 3;
    if (value >= 0 && value <= 0xffff_ffff) this.#varint(value);
    else this.#varint64(value >>> 0, Math.floor(value / 0x1_0000_0000) >>> 0);
    this.#bytes[at + 1] = this.#position - at - 2;
  }

  #varint64(lowWord: number, highWord: number): void {
    const bytes = this.#bytes;
    let position = this.#position;
    let rest = lowWord;
    let upper = highWord;
    while (upper > 0 || rest > 0x7f) {
      bytes[position] = (rest & 0x7f) | 0x80;
      position += 1;
      rest = ((rest >>> 7) | (upper << 25)) >>> 0;
      upper >>>= 7;
    }
    bytes[position] = rest;
    this.#position = position + 1;
  }

  #varint(value: number): void {
    const bytes = this.#bytes;
    let position = this.#position;
    let rest = value;
    while (rest > 0x7f) {
      bytes[position] = (rest & 0x7f) | 0x80;
      position += 1;
      rest >>>= 7;
    }
    bytes[position] = rest;
    this.#position = position + 1;
  }

  #words(tag: number, lowWord: number, highWord: number): void {
    this.#room(9);
    const bytes = this.#bytes;
    const at = this.#position;
    bytes[at] = tag;
    bytes[at + 1] = lowWord;
    bytes[at + 2] = lowWord >>> 8;
    bytes[at + 3] = lowWord >>> 16;
    bytes[at + 4] = lowWord >>> 24;
    bytes[at + 5] = highWord;
    bytes[at + 6] = highWord >>> 8;
    bytes[at + 7] = highWord >>> 16;
    bytes[at + 8] = highWord >>> 24;
    this.#position = at + 9;
  }

  /** The field `key` of a `KeyValue`, ready to be copied. */
  #nameOf(key: string): Uint8Array {
    const utf8 = Buffer.from(key, 'utf8');
    const head: number[] = [0x0a];
    let rest = utf8.length;
    for (; rest > 0x7f; rest >>>= 7) head.push((rest & 0x7f) | 0x80);
    head.push(rest);
    const name = new Uint8Array(head.length + utf8.length);
    name.set(head);
    name.set(utf8, head.length);
    if (name.length <= 256) {
      if (this.#names.size >= maxNames) this.#names.clear();
      this.#names.set(key, name);
    }
    return name;
  }

  #room(count: number): void {
    const needed = this.#position + count;
    if (needed <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#bytes.length * 2));
    this.#bytes.copy(larger, 0, 0, this.#position);
    this.#bytes = larger;
  }
}

/** Writes a text of single-byte characters. @returns False at the first other character. */
function ascii(bytes: Uint8Array, at: number, text: string): boolean {
  for (let i = 0; i < text.length; i += 1) {
    const code = text.charCodeAt(i);
    if (code > 0x7f) return false;
    bytes[at + i] = code;
  }
  return true;
}
