import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { repositoryRoot } from '../repository.js';

/** Folder that public test data is looked for in: `MNOPS_TEST_DATA`, else `../shared/data` beside the repository. */
export function testDataRoot(): string {
  const named = process.env.MNOPS_TEST_DATA;
  return named !== undefined && named !== '' ? named : join(repositoryRoot, '..', 'shared', 'data');
}

/** Path of one set of public test data, such as `wycheproof`, or `undefined` when this machine does not have it. */
export function dataFolder(name: string): string | undefined {
  const folder = join(testDataRoot(), name);
  return existsSync(folder) ? folder : undefined;
}
