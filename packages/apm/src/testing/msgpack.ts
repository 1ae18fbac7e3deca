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
