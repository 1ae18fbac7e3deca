import type { PackedBlob } from './pack-header.js';

/** One pack with its blobs, as an index file lists it. */
export interface IndexedPack {
  readonly id: string;
  readonly blobs: readonly PackedBlob[];
}

/** Text of an index file. */
export function encodeIndex(packs: readonly IndexedPack[]): string {
  const texts = packs.map(({ id, blobs }) => {
    const entries = blobs.map((blob) => {
      const raw = blob.rawLength > 0 ? `,"uncompressed_length":${blob.rawLength}` : '';
      return `{"id":"${blob.id.toString('hex')}","type":"${blob.type}","offset":${blob.offset},"length":${blob.length}${raw}}`;
    });
    return `{"id":"${id}","blobs":[${entries.join(',')}]}`;
  });
  return `{"packs":[${texts.join(',')}]}`;
}

interface IndexText {
  readonly packs?: readonly {
    readonly id: string;
    readonly blobs: readonly {
      readonly id: string;
      readonly type: string;
      readonly offset: number;
      readonly length: number;
      readonly uncompressed_length?: number;
    }[];
  }[];
}

/** The packs of an index file, or `undefined` when it is none. Packs that another program marked for deletion are left out. */
export function decodeIndex(value: unknown): IndexedPack[] | undefined {
  const { packs } = (value ?? {}) as IndexText;
  if (!Array.isArray(packs)) return undefined;
  try {
    return (packs as NonNullable<IndexText['packs']>).map(({ id, blobs }) => ({
      id: hexId(id),
      blobs: blobs.map((blob) => ({
        type: blobType(blob.type),
        id: idBytes(blob.id),
        offset: size(blob.offset),
        length: size(blob.length),
        rawLength: size(blob.uncompressed_length ?? 0),
      })),
    }));
  } catch {
    return undefined;
  }
}

function hexId(text: unknown): string {
  if (typeof text === 'string' && /^[0-9a-f]{64}$/.test(text)) return text;
  throw new TypeError('not an id');
}

/** There is one per blob: the length of what was decoded says as much as a pattern, in less time. */
function idBytes(text: unknown): Buffer {
  const bytes = typeof text === 'string' && text.length === 64 ? Buffer.from(text, 'hex') : undefined;
  if (bytes?.length === 32) return bytes;
  throw new TypeError('not an id');
}

function blobType(text: string): 'data' | 'tree' {
  if (text === 'data' || text === 'tree') return text;
  throw new TypeError('not a blob type');
}

function size(value: number): number {
  if (Number.isInteger(value) && value >= 0 && value <= 0xffff_ffff) return value;
  throw new TypeError('not a size');
}
