import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { repositoryRoot } from '../repository.js';
import { readTree } from '../structure/source-tree.js';
import { derivedFiles } from './pages.js';

/** `npm run docs`: writes every generated page and every snippet anew. Exit code 1 when a snippet cannot be found. */
async function main(): Promise<number> {
  const files = await derivedFiles(readTree(repositoryRoot));
  for (const { path, actual, wanted } of files.filter((file) => file.actual !== file.wanted)) {
    writeFileSync(join(repositoryRoot, path), wanted);
    console.log(`${actual === undefined ? 'made' : 'wrote'} ${path}`);
  }
  const problems = files.flatMap((file) => file.problems.map((problem) => `${file.path}: ${problem}`));
  for (const problem of problems) console.error(problem);
  return problems.length === 0 ? 0 : 1;
}

process.exitCode = await main();
