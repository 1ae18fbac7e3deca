import { chown, readdir } from 'node:fs/promises';
import { join } from 'node:path';

/** User without rights: `nobody` of most systems. It needs no entry in the list of users. */
const nobody = 65_534;

/**
 * Runs a part of a test as a user whom rights on files bind; root reads and writes whatever they say. The folder and all in it
 * are that user's then. Without root it only runs.
 */
export async function withoutRoot<T>(folder: string, run: () => Promise<T>): Promise<T> {
  if (process.geteuid?.() !== 0 || process.seteuid === undefined) return await run();
  for (const entry of await readdir(folder, { recursive: true })) await chown(join(folder, entry), nobody, nobody);
  await chown(folder, nobody, nobody);
  process.seteuid(nobody);
  try {
    return await run();
  } finally {
    process.seteuid(0);
  }
}
