import { join } from 'node:path';

/** Folder of the repository that this file stands in. */
export const repositoryRoot: string = join(import.meta.dirname, '..', '..', '..');

/** The published packages, in the order in which they depend on each other. */
export const publishedPackages: readonly string[] = [
  'core',
  'secrets',
  'monitoring',
  'logging',
  'apm',
  'orchestration',
  'dr',
];
