import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { repositoryRoot } from '../repository.js';
import { readTree } from '../structure/source-tree.js';
import { derivedFiles } from './pages.js';

/** `npm run docs`: writes every generated page and every snippet anew. Exit code 1 when a snippet cannot be found. */
let problems = 0;
for (const { path, actual, wanted, problems: found } of await derivedFiles(readTree(repositoryRoot))) {
  for (const problem of found) console.error(`${path}: ${problem}`);
  problems += found.length;
  if (actual === wanted) continue;
  writeFileSync(join(repositoryRoot, path), wanted);
  console.log(`wrote ${path}`);
}
process.exitCode = problems === 0 ? 0 : 1;
