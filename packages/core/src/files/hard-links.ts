import { codeOf } from '../errors/mnops-error.js';

/** How systems say that a file system has no hard links; Windows says the last of FAT. */
const codes: readonly unknown[] = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EISDIR'];

/** Whether a failed `link` means that the file system has no hard links. */
export function lacksHardLinks(error: unknown): boolean {
  return codes.includes(codeOf(error));
}
