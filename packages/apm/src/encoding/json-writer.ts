/** Room that a writer keeps between texts; more is given back. */
const maxKept = 4 * 1_048_576;
/** Bytes of texts that are kept ready. Texts made from data must not pile up, so `addText` refuses beyond. */
const maxReadyBytes = 1_048_576;
/** Halves of characters, which no UTF-8 can carry. */
const half = /\p{Surrogate}/gu;

/** A text that is written again and again: where its bytes lie. */
export interface ReadyText {
  readonly start: number;
  readonly length: number;
}

// One place in two shapes: the halves of a 64-bit number are read without arithmetic on bigints.
const asBigint = new BigUint64Array(2);
const asWords = new Uint32Array(asBigint.buffer);
const low = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1 ? 0 : 1;
const high = 1 - low;

/** The digits of 0 to 999 as three bytes each. */
const threeDigits = Int32Array.from(
  { length: 1_000 },
  (_, i) => 0x30_30_30 + Math.floor(i / 100) + ((Math.floor(i / 10) % 10) << 8) + ((i % 10) << 16),
);

/** A text as JSON writes it, quotes included. Halves of characters become U+FFFD. */
export function jsonText(text: string): string {
  return JSON.stringify(text.replace(half, '\ufffd'));
}

/**
 * Writes JSON as bytes from front to back into one buffer that grows. Ready texts are copied eight bytes at a time and
 * others four characters at a time: strings put together by the engine cost more to read than to make.
 */
export class JsonWriter {
  #bytes: Buffer = Buffer.allocUnsafeSlow(65_536);
  #view: DataView = new DataView(this.#bytes.buffer);
  #position = 0;
  #ready: DataView = new DataView(new ArrayBuffer(16_384));
  #readyEnd = 0;
  /** The seconds that were written last: spans of one batch share theirs. */
  #seconds = 0;
  readonly #secondsText: DataView = new DataView(new ArrayBuffer(16));
  #secondsLength = 0;

  /** What was written, as bytes of its own; the writer is empty afterwards. */
  finish(): Uint8Array<ArrayBuffer> {
    const result = new Uint8Array(this.#position);
    result.set(this.#bytes.subarray(0, this.#position));
    this.#position = 0;
    if (this.#bytes.length > maxKept) this.#widen(65_536);
    return result;
  }

  /** Forgets what was written since the last `finish`. */
  reset(): void {
    this.#position = 0;
  }

  /** Keeps a text ready for `ready`; `undefined` when there is no room left. */
  addText(text: string): ReadyText | undefined {
    const utf8 = Buffer.from(text, 'utf8');
    const start = this.#readyEnd;
    // Copies go in steps of eight bytes.
    const end = start + Math.ceil(utf8.length / 8) * 8;
    if (end > maxReadyBytes) return undefined;
    if (end > this.#ready.byteLength) {
      const wider = new Uint8Array(Math.max(end, this.#ready.byteLength * 2));
      wider.set(new Uint8Array(this.#ready.buffer));
      this.#ready = new DataView(wider.buffer);
    }
    new Uint8Array(this.#ready.buffer).set(utf8, start);
    this.#readyEnd = end;
    return { start, length: utf8.length };
  }

  /** Bytes of ready texts. */
  get readyBytes(): number {
    return this.#readyEnd;
  }

  /** Forgets the ready texts that were added after there were so many bytes of them. */
  forgetTexts(readyBytes: number): void {
    this.#readyEnd = readyBytes;
  }

  /** Writes a ready text. */
  ready({ start, length }: ReadyText): void {
    this.#room(length + 8);
    const from = this.#ready;
    const to = this.#view;
    const at = this.#position;
    // No eight bytes of UTF-8 are the bytes of a NaN, so what is copied as a number stays as it is.
    for (let i = 0; i < length; i += 8) to.setFloat64(at + i, from.getFloat64(start + i, true), true);
    this.#position = at + length;
  }

  /** Writes one ASCII character. */
  character(code: number): void {
    this.#room(1);
    this.#bytes[this.#position] = code;
    this.#position += 1;
  }

  /** Takes back the character that was written last. */
  takeBack(): void {
    this.#position -= 1;
  }

  /** Writes a text as it is. */
  plain(text: string): void {
    this.#room(text.length * 3);
    this.#position += this.#bytes.write(text, this.#position, 'utf8');
  }

  /** Writes a text of JSON. Halves of characters become U+FFFD. */
  quoted(text: string): void {
    const { length } = text;
    this.#room(length + 2);
    const to = this.#view;
    const at = this.#position + 1;
    to.setUint8(at - 1, 0x22);
    let i = 0;
    for (; i + 4 <= length; i += 4) {
      const first = text.charCodeAt(i);
      const second = text.charCodeAt(i + 1);
      const third = text.charCodeAt(i + 2);
      const fourth = text.charCodeAt(i + 3);
      const word = first | (second << 8) | (third << 16) | (fourth << 24);
      // Borrows into the highest bit of a byte where it is a control character, a quote or a backslash.
      const special = (word - 0x20202020) | ((word ^ 0x22222222) - 0x01010101) | ((word ^ 0x5c5c5c5c) - 0x01010101);
      if ((first | second | third | fourth) > 0x7f || (special & 0x80808080) !== 0) {
        this.plain(jsonText(text));
        return;
      }
      to.setInt32(at + i, word, true);
    }
    for (; i < length; i += 1) {
      const code = text.charCodeAt(i);
      if (code < 0x20 || code === 0x22 || code === 0x5c || code > 0x7f) {
        this.plain(jsonText(text));
        return;
      }
      to.setUint8(at + i, code);
    }
    to.setUint8(at + length, 0x22);
    this.#position = at + length + 1;
  }

  /** Writes a number as JavaScript does. */
  number(value: number): void {
    if (value >>> 0 !== value) {
      this.plain(String(value));
      return;
    }
    this.#room(10);
    let count = 1;
    for (let bound = 10; value >= bound; bound *= 10) count += 1;
    let rest = value;
    for (let at = this.#position + count - 1; at >= this.#position; at -= 1) {
      const next = Math.floor(rest / 10);
      this.#bytes[at] = 0x30 + rest - next * 10;
      rest = next;
    }
    this.#position += count;
  }

  /** Writes the digits of the sum of two numbers of up to 64 bits: a bigint's own conversion is several times as slow. */
  sum(value: bigint, more: bigint): void {
    asBigint[0] = value;
    asBigint[1] = more;
    const lowWord = (asWords[low] as number) + (asWords[2 + low] as number);
    const highWord = (asWords[high] as number) + (asWords[2 + high] as number);
    // The quotient by 10^9 is off by one at most, and the lower 32 bits of the remainder are exact.
    let seconds = Math.floor((highWord * 0x1_0000_0000 + lowWord) / 1e9);
    let nanos = ((lowWord | 0) - Math.imul(seconds | 0, 1e9)) | 0;
    if (nanos < 0) {
      seconds -= 1;
      nanos += 1e9;
    } else if (nanos >= 1e9) {
      seconds += 1;
      nanos -= 1e9;
    }
    if (seconds === 0) {
      this.number(nanos);
      return;
    }
    if (seconds !== this.#seconds) {
      const digits = String(seconds);
      this.#seconds = seconds;
      this.#secondsLength = digits.length;
      for (let i = 0; i < digits.length; i += 1) this.#secondsText.setUint8(i, digits.charCodeAt(i));
    }
    this.#secondsAnd(nanos);
  }

  /** Writes the last seconds, of at most eleven digits, and nine digits more. */
  #secondsAnd(nanos: number): void {
    this.#room(32);
    const from = this.#secondsText;
    const to = this.#view;
    to.setFloat64(this.#position, from.getFloat64(0, true), true);
    to.setFloat64(this.#position + 8, from.getFloat64(8, true), true);
    const at = this.#position + this.#secondsLength;
    const millis = (nanos / 1_000_000) | 0;
    const micros = (nanos / 1_000) | 0;
    // Each writes a fourth byte that the next one writes anew.
    to.setInt32(at, threeDigits[millis] as number, true);
    to.setInt32(at + 3, threeDigits[micros - millis * 1_000] as number, true);
    to.setInt32(at + 6, threeDigits[nanos - micros * 1_000] as number, true);
    this.#position = at + 9;
  }

  #room(count: number): void {
    const needed = this.#position + count;
    if (needed > this.#bytes.length) this.#widen(Math.max(needed, this.#bytes.length * 2));
  }

  #widen(length: number): void {
    const before = this.#bytes;
    this.#bytes = Buffer.allocUnsafeSlow(length);
    this.#view = new DataView(this.#bytes.buffer);
    before.copy(this.#bytes, 0, 0, this.#position);
  }
}
