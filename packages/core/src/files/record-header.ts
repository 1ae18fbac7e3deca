import { type FileHandle, open } from 'node:fs/promises';
import { coreError, storageError } from '../errors/core-error.js';
import { MnopsError } from '../errors/mnops-error.js';
import {
  containerVersion,
  decodeHeader,
  type FileHeader,
  headerBytes,
  recordsAt,
  secondHeaderAt,
} from './record-format.js';

/** A file whose header was read. */
export interface OpenedFile {
  readonly handle: FileHandle;
  readonly header: FileHeader;
  /** Positions of header copies that are damaged. */
  readonly damagedCopies: readonly number[];
  /** Where the file ends, if that is before its first record. */
  readonly cutAt: number | undefined;
}

/** Opens a file and reads its header from whichever copy is whole. */
export async function openHeader(file: string, magic: string, version: number, readOnly: boolean): Promise<OpenedFile> {
  let handle: FileHandle;
  try {
    handle = await open(file, readOnly ? 'r' : 'r+');
  } catch (error) {
    throw storageError('open', file, error);
  }
  try {
    const bytes = Buffer.alloc(recordsAt);
    let filled = 0;
    for (;;) {
      const { bytesRead } = await handle.read(bytes, filled, recordsAt - filled, filled);
      filled += bytesRead;
      if (bytesRead === 0 || filled === recordsAt) break;
    }
    return { handle, ...judge(bytes.subarray(0, filled), file, magic, version) };
  } catch (error) {
    await handle.close();
    throw MnopsError.is(error) ? error : storageError('read', file, error);
  }
}

function judge(bytes: Buffer, file: string, magic: string, version: number): Omit<OpenedFile, 'handle'> {
  const first = decodeHeader(bytes.subarray(0, headerBytes));
  const second = decodeHeader(bytes.subarray(secondHeaderAt, recordsAt));
  const header = first ?? second;
  if (header === undefined) {
    const named = [0, secondHeaderAt].some((at) => bytes.toString('latin1', at, at + 8) === magic);
    const why = named || bytes.length === 0 ? 'both copies of its header are damaged' : `it is not a ${magic} file`;
    const newer = [0, secondHeaderAt].some((at) => mayBeNewer(bytes, at, magic, version));
    throw unreadable(file, why, { headerLost: !newer });
  }
  if (header.magic !== magic) throw unreadable(file, `it is a ${header.magic} file, not ${magic}`);
  if (header.version !== version) {
    throw unreadable(file, `its format has version ${header.version}, this program reads ${version}`);
  }
  const damagedCopies: number[] = [];
  if (first === undefined) damagedCopies.push(0);
  if (second === undefined) damagedCopies.push(secondHeaderAt);
  return { header, damagedCopies, cutAt: bytes.length < recordsAt ? bytes.length : undefined };
}

/** A header that cannot be read but bears the magic and a higher version may be whole for a program of that version. */
function mayBeNewer(bytes: Buffer, at: number, magic: string, version: number): boolean {
  if (bytes.length < at + 12 || bytes.toString('latin1', at, at + 8) !== magic) return false;
  return bytes.readUInt16LE(at + 8) > containerVersion || bytes.readUInt16LE(at + 10) > version;
}

function unreadable(file: string, why: string, facts: { readonly headerLost: boolean } = { headerLost: false }): Error {
  return coreError('MNOPS_CORE_STORAGE_UNREADABLE', `Cannot open ${file}: ${why}.`, {
    details: { path: file, ...facts },
  });
}
