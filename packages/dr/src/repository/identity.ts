import { userInfo } from 'node:os';

/** Name of the user that runs this process, or its number where it has no name. */
export function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return String(process.getuid?.() ?? 0);
  }
}
