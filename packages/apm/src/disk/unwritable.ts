import { codeOf, MnopsError } from '@mnops/core';

/** Why nothing can be written to a folder. */
export interface Unwritable {
  /** Code of the error: `MNOPS_CORE_STORAGE_FAILED`, or another of this project's. */
  readonly code: string;
  /** The system's own name of it, such as `ENOSPC`; `unknown reason` where it gave none. */
  readonly reason: string;
  /** What a person can do. */
  readonly remedy: string;
}

const again = 'It is tried again every 30 s.';

const remedies: Readonly<Record<string, string>> = {
  EACCES: 'Make the folder writable for the user of this process.',
  EPERM: 'Make the folder writable for the user of this process.',
  EROFS: 'Mount the file system writable, or configure a folder on another.',
  ENOSPC: 'Make room on the disk, or configure a folder on another.',
  EDQUOT: 'Raise the quota of the user of this process, or make room.',
  ENOTDIR: 'A file stands where a folder should be: remove it, or configure another folder.',
  EEXIST: 'A file stands where a folder should be: remove it, or configure another folder.',
  EISDIR: 'A folder stands where a file should be: remove it, or configure another folder.',
  ENOENT: 'The folder was removed and cannot be made again: make its parent, or configure another folder.',
  EMFILE: 'Raise the number of files that this process may have open.',
  ENFILE: 'Raise the number of files that this system may have open.',
};

/** What a failed write says, for events and health. */
export function unwritable(error: unknown): Unwritable {
  const told = MnopsError.is(error) ? error.details?.['reason'] : codeOf(error);
  const reason = typeof told === 'string' ? told : 'unknown reason';
  const remedy = Object.hasOwn(remedies, reason) ? remedies[reason] : 'Check the disk, or configure another folder.';
  return {
    code: MnopsError.is(error) ? error.code : 'MNOPS_CORE_STORAGE_FAILED',
    reason,
    remedy: `${remedy} ${again}`,
  };
}
