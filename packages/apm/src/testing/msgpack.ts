import { createRequire } from 'node:module';

interface Msgpack {
  decode(bytes: Uint8Array, options: { readonly useBigInt64: boolean }): unknown;
}

// Its declarations need the types of a browser.
const { decode } = createRequire(import.meta.url)('@msgpack/msgpack') as Msgpack;

/** What MessagePack bytes stand for, by the format's own library; 64-bit numbers come as bigint. */
export function decodeMsgpack(bytes: Uint8Array): unknown {
  return decode(bytes, { useBigInt64: true });
}

/** The form that MessagePack gives a number: the library makes one number of several forms. */
export type NumberForm = 'small' | 'unsigned' | 'signed' | 'float';

/**
 * The form of every number in a map of texts, numbers, lists and maps, by its path such as `0.1.metrics.share`, in the order
 * in which they stand (msgpack/spec.md).
 */
export function numberForms(bytes: Uint8Array): ReadonlyMap<string, NumberForm> {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const forms = new Map<string, NumberForm>();
  let at = 0;
  const skip = (count: number): number => {
    at += count;
    return at - count;
  };
  const size = (width: number): number => buffer.readUIntBE(skip(width), width);
  const text = (length: number): string => buffer.toString('utf8', skip(length), at);
  const entries = (count: number, isMap: boolean, path: string): undefined => {
    for (let i = 0; i < count; i += 1) {
      const key = isMap ? String(read('')) : String(i);
      read(path === '' ? key : `${path}.${key}`);
    }
    return undefined;
  };
  const number = (path: string, form: NumberForm, width: number): undefined => {
    skip(width);
    forms.set(path, form);
    return undefined;
  };
  const read = (path: string): string | undefined => {
    const head = size(1);
    if (head < 0x80 || head >= 0xe0) return number(path, 'small', 0);
    if (head < 0x90) return entries(head & 0x0f, true, path);
    if (head < 0xa0) return entries(head & 0x0f, false, path);
    if (head < 0xc0) return text(head & 0x1f);
    if (head === 0xc2 || head === 0xc3) return undefined;
    if (head === 0xcb) return number(path, 'float', 8);
    if (head >= 0xcc && head <= 0xcf) return number(path, 'unsigned', 2 ** (head - 0xcc));
    if (head >= 0xd0 && head <= 0xd3) return number(path, 'signed', 2 ** (head - 0xd0));
    if (head >= 0xd9 && head <= 0xdb) return text(size(2 ** (head - 0xd9)));
    if (head === 0xdc || head === 0xdd) return entries(size(head === 0xdc ? 2 : 4), false, path);
    if (head === 0xde || head === 0xdf) return entries(size(head === 0xde ? 2 : 4), true, path);
    throw new Error(`MessagePack type ${head} is not read here.`);
  };
  read('');
  return forms;
}
