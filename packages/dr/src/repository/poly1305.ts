import { instantiate } from './wasm.js';

/** One Poly1305 computer: instances share nothing. */
export interface Poly1305 {
  /**
   * Tag (16 bytes, a new buffer) of a message under a one-time key, by RFC 8439 section 2.5.
   *
   * @param key - 32 bytes: `r` (clamped here) and `s`. Never use one twice.
   */
  tag(key: Uint8Array, message: Uint8Array): Buffer;
}

/** Compiled from `wasm/poly1305.wat`. */
const moduleBase64 =
  'AGFzbQEAAAABCgJgAABgA39/fgADBAMAAQAFAwEAAwYzCn4BQgALfgFCAAt+AUIAC34BQgALfgFCAAt+AUIAC34BQgALfgFCAAt+AUIAC34BQg' +
  'ALByQEBm1lbW9yeQIABWJlZ2luAAAGYmxvY2tzAAEGZmluaXNoAAIK7wcDYgBCACQAQgAkAUIAJAJCACQDQgAkBEEANQIAQv///x+DJAVBAzUC' +
  'AEICiEKD/v8fgyQGQQY1AgBCBIhC/4H/H4MkB0EJNQIAQgaIQv//wB+DJAhBDDUCAEIIiEL//z+DJAkL5QMBE34gAUUEQA8LIwAhAyMBIQQjAi' +
  'EFIwMhBiMEIQcjBSEIIwYhCSMHIQojCCELIwkhDCAJQgV+IQ0gCkIFfiEOIAtCBX4hDyAMQgV+IRADQCADIAA1AgBC////H4N8IQMgBCAANQID' +
  'QgKIQv///x+DfCEEIAUgADUCBkIEiEL///8fg3whBSAGIAA1AglCBohC////H4N8IQYgByAANQIMQgiIIAKEfCEHIAMgCH4gBCAQfnwgBSAPfn' +
  'wgBiAOfnwgByANfnwhESADIAl+IAQgCH58IAUgEH58IAYgD358IAcgDn58IRIgAyAKfiAEIAl+fCAFIAh+fCAGIBB+fCAHIA9+fCETIAMgC34g' +
  'BCAKfnwgBSAJfnwgBiAIfnwgByAQfnwhFCADIAx+IAQgC358IAUgCn58IAYgCX58IAcgCH58IRUgEiARQhqIfCESIBFC////H4MhAyATIBJCGo' +
  'h8IRMgEkL///8fgyEEIBQgE0IaiHwhFCATQv///x+DIQUgFSAUQhqIfCEVIBRC////H4MhBiADIBVCGohCBX58IQMgFUL///8fgyEHIAQgA0Ia' +
  'iHwhBCADQv///x+DIQMgAEEQaiEAIAFBAWsiAQ0ACyADJAAgBCQBIAUkAiAGJAMgByQEC6IDAQ9+IwAhASMBIQIjAiEDIwMhBCMEIQUgAkIaiC' +
  'EAIAJC////H4MhAiADIAB8IQMgA0IaiCEAIANC////H4MhAyAEIAB8IQQgBEIaiCEAIARC////H4MhBCAFIAB8IQUgBUIaiCEAIAVC////H4Mh' +
  'BSABIABCBX58IQEgAUIaiCEAIAFC////H4MhASACIAB8IQIgAUIFfCEGIAZCGoghACAGQv///x+DIQYgAiAAfCEHIAdCGoghACAHQv///x+DIQ' +
  'cgAyAAfCEIIAhCGoghACAIQv///x+DIQggBCAAfCEJIAlCGoghACAJQv///x+DIQkgBSAAfEKAgIAgfSEKIApCP4hCAX0hCyABIAsgASAGhYOF' +
  'IQEgAiALIAIgB4WDhSECIAMgCyADIAiFg4UhAyAEIAsgBCAJhYOFIQQgBSALIAUgCoWDhSEFIAEgAkIahnwhDiAOIANCNIZ8IQwgA0IMiCAEQg' +
  '6GfCAFQiiGfCAMIA5UrXwhDSAMQRApAwB8IQ4gDUEYKQMAfCAOIAxUrXwhDUEgIA43AwBBKCANNwMACw==';

interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer };
  begin(): void;
  blocks(address: number, count: number, top: bigint): void;
  finish(): void;
}

const dataAt = 64;
const windowBytes = 131_072;
const topBit = 1n << 24n;

/** Makes a Poly1305 computer on WebAssembly: `node:crypto` has the algorithm only inside ChaCha20-Poly1305. */
export function poly1305(): Poly1305 {
  const { memory, begin, blocks, finish } = instantiate<Exports>(moduleBase64);
  const bytes = new Uint8Array(memory.buffer);
  return {
    tag(key, message) {
      bytes.set(key, 0);
      begin();
      const whole = message.length - (message.length % 16);
      for (let start = 0; start < whole; start += windowBytes) {
        const end = Math.min(start + windowBytes, whole);
        bytes.set(message.subarray(start, end), dataAt);
        blocks(dataAt, (end - start) / 16, topBit);
      }
      if (whole < message.length) {
        bytes.fill(0, dataAt, dataAt + 16);
        bytes.set(message.subarray(whole), dataAt);
        bytes[dataAt + message.length - whole] = 1;
        blocks(dataAt, 1, 0n);
      }
      finish();
      return Buffer.from(bytes.subarray(32, 48));
    },
  };
}
