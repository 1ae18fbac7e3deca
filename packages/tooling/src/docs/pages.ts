import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { benchmarksPage } from '../benchmarks/page.js';
import { readRecord } from '../benchmarks/record.js';
import { publishedPackages } from '../repository.js';
import { filesUnder, type SourceTree } from '../structure/source-tree.js';
import { errorsPage } from './errors-page.js';
import { operationsPage } from './operations-page.js';
import { withSnippets } from './snippets.js';

/** A file whose text, or part of it, follows from others. */
export interface DerivedFile {
  readonly path: string;
  /** What it holds; `undefined` when it does not exist. */
  readonly actual: string | undefined;
  readonly wanted: string;
  /** What writing it cannot mend. */
  readonly problems: readonly string[];
}

/** Every derived file of the repository: generated pages, pages with snippets, and each package's copy of the licence. */
export async function derivedFiles(tree: SourceTree): Promise<readonly DerivedFile[]> {
  const { root } = tree;
  const read = (path: string): string | undefined =>
    existsSync(join(root, path)) ? readFileSync(join(root, path), 'utf8') : undefined;
  const generated = (path: string, wanted: string): DerivedFile => ({ path, actual: read(path), wanted, problems: [] });
  const licence = read('LICENSE') ?? '';
  const pages = snippetPages(root).map((path): DerivedFile => {
    const actual = read(path) ?? '';
    const { text, problems } = withSnippets(actual, join(root, 'examples', 'snippets'));
    return { path, actual, wanted: text, problems };
  });
  const operations = await operationsPage(tree);
  return [
    generated('docs/errors.md', await errorsPage(tree)),
    { ...generated('docs/operations.md', operations.text), problems: operations.problems },
    generated('docs/benchmarks.md', benchmarksPage(readRecord(root))),
    ...publishedPackages.map((id) => generated(`packages/${id}/LICENSE`, licence)),
    ...pages,
  ];
}

/** READMEs and hand-written pages. */
function snippetPages(root: string): readonly string[] {
  const rootPages = readdirSync(root).filter((name) => name.endsWith('.md'));
  const readmes = publishedPackages
    .map((id) => `packages/${id}/README.md`)
    .filter((path) => existsSync(join(root, path)));
  const docs = existsSync(join(root, 'docs')) ? filesUnder(root, 'docs') : [];
  const pages = docs.filter((path) => path.endsWith('.md') && !/^docs\/(errors|operations|benchmarks)\.md$/.test(path));
  return [...rootPages, ...readmes, ...pages];
}
