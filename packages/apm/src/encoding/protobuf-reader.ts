import { apmError } from '../codes.js';

/** Wire types of protobuf that are in use. */
export const wire = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

/**
 * Reads protobuf's wire format without trust: every length is checked against what is left, so each step goes forward
 * and none reads beyond the message.
 *
 * Everything malformed throws `MNOPS_APM_SPANS_INVALID`.
 */
export class ProtobufReader {
  readonly #bytes: Buffer;
  #position: number;
  #end: number;
  /** Number of the field that `next` found. */
  field = 0;
  /** Wire type of the field that `next` found. */
  type = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#position = 0;
    this.#end = bytes.byteLength;
  }

  /** Goes to the next field of the current message. @returns False at its end. */
  next(): boolean {
    if (this.#position >= this.#end) return false;
    const tag = this.#varint32();
    this.field = tag >>> 3;
    this.type = tag & 7;
    if (this.field === 0) throw malformed('a field has the number 0');
    return true;
  }

  /** Whether the current field is that one; a known number with another wire type is unknown, as protobuf has it. */
  is(field: number, type: number): boolean {
    return this.field === field && this.type === type;
  }

  /** Passes over the current field. */
  skip(): void {
    switch (this.type) {
      case wire.varint:
        this.#varint32();
        return;
      case wire.fixed64:
        this.#advance(8);
        return;
      case wire.bytes:
        this.#advance(this.#varint32());
        return;
      case wire.fixed32:
        this.#advance(4);
        return;
      default:
        throw malformed(`wire type ${this.type} is not in use`);
    }
  }

  /** Opens the current field as a message. @returns What `leave` needs. */
  enter(): number {
    const length = this.#varint32();
    const outer = this.#end;
    this.#need(length);
    this.#end = this.#position + length;
    return outer;
  }

  /** Goes back to the outer message, whatever of the inner one is unread. */
  leave(outer: number): void {
    this.#position = this.#end;
    this.#end = outer;
  }

  /** Where the current message goes on, to come back to with `seek`. */
  get position(): number {
    return this.#position;
  }

  /** Goes back to a position of the current message. */
  seek(position: number): void {
    this.#position = position;
  }

  /** A number of up to 32 bits; what is above is cut off, as protobuf has it. */
  uint32(): number {
    return this.#varint32();
  }

  /** A signed 64-bit number: exact as a number where a double holds it, else as its digits. */
  int64(): number | string {
    const [low, high] = this.#varint64();
    const number = high * 0x1_0000_0000 + low;
    return Number.isSafeInteger(number) ? number : ((BigInt(high) << 32n) | BigInt(low)).toString();
  }

  bool(): boolean {
    const [low, high] = this.#varint64();
    return low !== 0 || high !== 0;
  }

  fixed64(): bigint {
    const at = this.#advance(8);
    return this.#bytes.readBigUInt64LE(at);
  }

  double(): number {
    return this.#bytes.readDoubleLE(this.#advance(8));
  }

  fixed32(): number {
    return this.#bytes.readUInt32LE(this.#advance(4));
  }

  /** A text; bytes that are no UTF-8 become U+FFFD. */
  text(): string {
    const length = this.#varint32();
    const at = this.#advance(length);
    return this.#bytes.toString('utf8', at, at + length);
  }

  /** Bytes as base64. */
  base64(): string {
    const length = this.#varint32();
    const at = this.#advance(length);
    return this.#bytes.toString('base64', at, at + length);
  }

  /** An id of so many bytes as hexadecimal digits; empty where there are none, `undefined` when it is no id. */
  id(size: number): string | undefined {
    const length = this.#varint32();
    const at = this.#advance(length);
    if (length === 0) return '';
    if (length !== size) return undefined;
    let any = 0;
    for (let i = at; i < at + length; i += 1) any |= this.#bytes[i] as number;
    return any === 0 ? undefined : this.#bytes.toString('hex', at, at + length);
  }

  #varint32(): number {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = this.#bytes[this.#advance(1)] as number;
      if (shift < 32) value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value >>> 0;
    }
    throw malformed('a number has more than ten bytes');
  }

  /** The halves of a 64-bit number, the upper one signed. */
  #varint64(): [number, number] {
    let low = 0;
    let high = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = this.#bytes[this.#advance(1)] as number;
      const bits = byte & 0x7f;
      if (shift < 32) low |= bits << shift;
      if (shift === 28) high |= bits >>> 4;
      else if (shift > 28) high |= bits << (shift - 32);
      if (byte < 0x80) return [low >>> 0, high];
    }
    throw malformed('a number has more than ten bytes');
  }

  /** Takes so many bytes. @returns Where they begin. */
  #advance(count: number): number {
    this.#need(count);
    const at = this.#position;
    this.#position = at + count;
    return at;
  }

  #need(count: number): void {
    if (count > this.#end - this.#position) throw malformed('a field ends beyond its message');
  }
}

function malformed(why: string): Error {
  return apmError('MNOPS_APM_SPANS_INVALID', `The body is no OTLP request in protobuf: ${why}.`);
}
