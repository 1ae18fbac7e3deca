/*
 * How Go prints names, modes and times, which the format took over.
 *
 * Names are JavaScript strings here. A byte that is not part of valid UTF-8 is the lone surrogate U+DC80 + (byte - 0x80),
 * which no valid text contains, so every file name goes through unchanged.
 */

const invalidByte = /[\uDC80-\uDCFF]/;
const loneSurrogates = /(?<![\uD800-\uDBFF])[\uDC80-\uDCFF]/;

/** A name from its bytes. */
export function nameFromBytes(bytes: Buffer): string {
  const text = bytes.toString('utf8');
  if (!text.includes('\uFFFD') || Buffer.from(text, 'utf8').equals(bytes)) return text;
  let name = '';
  let position = 0;
  while (position < bytes.length) {
    const length = sequenceLength(bytes, position);
    if (length === 0) {
      name += String.fromCharCode(0xdc00 + (bytes[position] ?? 0));
      position += 1;
    } else {
      name += bytes.toString('utf8', position, position + length);
      position += length;
    }
  }
  return name;
}

/** Length of the valid UTF-8 sequence at a position, 0 when there is none. */
function sequenceLength(bytes: Buffer, position: number): number {
  const first = bytes[position] ?? 0;
  const length = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
  if (length < 2) return length;
  const part = bytes.subarray(position, position + length);
  return part.length === length && Buffer.from(part.toString('utf8'), 'utf8').equals(part) ? length : 0;
}

/** The bytes of a name. */
export function nameBytes(name: string): Buffer {
  if (!hasInvalidBytes(name)) return Buffer.from(name, 'utf8');
  const parts: Buffer[] = [];
  for (const character of name) {
    const code = character.codePointAt(0) ?? 0;
    parts.push(code >= 0xdc80 && code <= 0xdcff ? Buffer.of(code - 0xdc00) : Buffer.from(character, 'utf8'));
  }
  return Buffer.concat(parts);
}

/** What `node:fs` takes for a path: text, or bytes where the text is not valid UTF-8. */
export function hostPath(path: string): string | Buffer {
  return hasInvalidBytes(path) ? nameBytes(path) : path;
}

function hasInvalidBytes(name: string): boolean {
  return invalidByte.test(name) && loneSurrogates.test(name);
}

/** Orders names by their bytes. */
export function compareNames(a: string, b: string): number {
  if (asciiOnly(a) && asciiOnly(b)) return a < b ? -1 : a > b ? 1 : 0;
  return Buffer.compare(nameBytes(a), nameBytes(b));
}

function asciiOnly(text: string): boolean {
  for (let index = 0; index < text.length; index++) if (text.charCodeAt(index) > 127) return false;
  return true;
}

const plain = /^[ !#-[\]-~]*$/;

/** The name as Go's `strconv.Quote` gives it, without the quotes around. */
export function quoteName(name: string): string {
  if (plain.test(name)) return name;
  let quoted = '';
  for (const character of name) {
    const code = character.codePointAt(0) ?? 0;
    if (character === '"' || character === '\\') quoted += `\\${character}`;
    else if (code >= 0xdc80 && code <= 0xdcff) quoted += `\\x${(code - 0xdc00).toString(16)}`;
    else if (code < 0x20 || code === 0x7f) quoted += escapes[code] ?? `\\x${code.toString(16).padStart(2, '0')}`;
    else if (code >= 0x80 && code < 0xa0) quoted += `\\u00${code.toString(16)}`;
    else quoted += character;
  }
  return quoted;
}

const escapes: Readonly<Record<number, string>> = {
  7: '\\a',
  8: '\\b',
  9: '\\t',
  10: '\\n',
  11: '\\v',
  12: '\\f',
  13: '\\r',
};
const escaped: Readonly<Record<string, number>> = {
  a: 7,
  b: 8,
  t: 9,
  n: 10,
  v: 11,
  f: 12,
  r: 13,
  '"': 34,
  "'": 39,
  '\\': 92,
};
const escapeSequence = /\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|(.))/gsu;

/** The name behind a quoted one; `undefined` when it is not well formed. */
export function unquoteName(quoted: string): string | undefined {
  if (!quoted.includes('\\')) return quoted;
  let wellFormed = true;
  const parts: Buffer[] = [];
  let position = 0;
  for (const match of quoted.matchAll(escapeSequence)) {
    const [whole, byte, short, long, octal, letter] = match;
    parts.push(nameBytes(quoted.slice(position, match.index)));
    position = match.index + whole.length;
    const point = short ?? long;
    if (byte !== undefined) parts.push(Buffer.of(Number.parseInt(byte, 16)));
    else if (octal !== undefined) parts.push(Buffer.of(Number.parseInt(octal, 8) & 255));
    else if (point !== undefined && Number.parseInt(point, 16) <= 0x10ffff) {
      parts.push(Buffer.from(String.fromCodePoint(Number.parseInt(point, 16)), 'utf8'));
    } else if (letter !== undefined && escaped[letter] !== undefined) parts.push(Buffer.of(escaped[letter]));
    else wellFormed = false;
  }
  const rest = quoted.slice(position);
  parts.push(nameBytes(rest));
  return wellFormed && !rest.includes('\\') ? nameFromBytes(Buffer.concat(parts)) : undefined;
}

const goModeBits: readonly (readonly [go: number, unix: number])[] = [
  [2 ** 23, 0o4000],
  [2 ** 22, 0o2000],
  [2 ** 20, 0o1000],
];
const goTypeBits: Readonly<Record<string, number>> = {
  dir: 2 ** 31,
  symlink: 2 ** 27,
  dev: 2 ** 26,
  fifo: 2 ** 25,
  socket: 2 ** 24,
  chardev: 2 ** 26 + 2 ** 21,
};

/** Go's `os.FileMode` of a node type and Unix permission bits with setuid, setgid and sticky. */
export function goMode(type: string, unixMode: number): number {
  let mode = (goTypeBits[type] ?? 0) + (unixMode & 0o777);
  for (const [go, unix] of goModeBits) if ((unixMode & unix) !== 0) mode += go;
  return mode;
}

/** Unix permission bits with setuid, setgid and sticky of a Go mode. */
export function unixMode(mode: number): number {
  let bits = mode & 0o777;
  for (const [go, unix] of goModeBits) if (Math.floor(mode / go) % 2 === 1) bits |= unix;
  return bits;
}

/** RFC 3339 text with nanoseconds, in UTC. */
export function timeText(nanoseconds: bigint): string {
  const milliseconds = nanoseconds / 1_000_000n - (nanoseconds % 1_000_000n < 0n ? 1n : 0n);
  const text = new Date(Number(milliseconds)).toISOString();
  const below = Number(nanoseconds - (nanoseconds / 1_000_000_000n) * 1_000_000_000n);
  const fraction = below < 0 ? below + 1_000_000_000 : below;
  return `${text.slice(0, -5)}.${String(fraction).padStart(9, '0')}Z`;
}

const timePattern = /^(-?\d{4,6}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$/;

/** Whole seconds since the epoch and the nanoseconds above them; `undefined` when the text is not RFC 3339. */
export function parseTime(text: string): { readonly seconds: number; readonly nanoseconds: number } | undefined {
  const match = timePattern.exec(text);
  if (match === null) return undefined;
  const ms = Date.parse(`${match[1]}${match[3]}`);
  if (Number.isNaN(ms)) return undefined;
  return { seconds: ms / 1000, nanoseconds: Number((match[2] ?? '').padEnd(9, '0')) };
}

/** Milliseconds since the epoch as `node:fs` gives them for this time: a number with fractions. */
export function timeMs(text: string): number {
  const time = parseTime(text);
  return time === undefined ? Number.NaN : time.seconds * 1000 + time.nanoseconds / 1_000_000;
}
