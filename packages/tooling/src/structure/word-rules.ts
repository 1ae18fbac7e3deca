import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { type Finding, filesUnder } from './source-tree.js';

const readable = /\.(ts|mts|cts|js|mjs|cjs|json|md|ya?ml|sh|html)$|\/\.ci\/run$|^\.ci\/run$/;

// In parts, so that this file does not find itself.
const hosts = ['registry.npm' + 'js.org', 'pypi' + '.org', 'static.crates' + '.io', 'proxy.golang' + '.org']
  .concat(['repo.maven.' + 'apache.org', 'deb.' + 'debian.org'])
  .map((host) => host.replaceAll('.', '\\.'));
const rules: readonly { readonly pattern: RegExp; readonly text: string; readonly lockfileToo?: boolean }[] = [
  {
    pattern: new RegExp(`\\b(${hosts.join('|')})\\b`),
    text: 'names the host of a package registry',
    lockfileToo: true,
  },
  { pattern: new RegExp(`(?<![\\w.-])/(${'wo' + 'rk'}|${'ro' + 'ot'})/`), text: 'holds a path of one machine' },
  { pattern: new RegExp(`\\b(${'TO' + 'DO'}|${'FIX' + 'ME'})\\b`), text: 'promises work instead of doing it' },
];

/** Words that do not belong into sources and docs. */
export function wordFindings(root: string): readonly Finding[] {
  return filesUnder(root, '.')
    .filter((path) => readable.test(path) && basename(path) !== 'CHANGELOG.md')
    .flatMap((path) => {
      const isLockfile = basename(path) === 'package-lock.json';
      const applicable = rules.filter(({ lockfileToo }) => !isLockfile || lockfileToo === true);
      return wordsIn(path, readFileSync(join(root, path), 'utf8'), applicable);
    });
}

function wordsIn(path: string, text: string, applicable: typeof rules): readonly Finding[] {
  if (!applicable.some(({ pattern }) => pattern.test(text))) return [];
  return text.split('\n').flatMap((content, index) =>
    applicable.flatMap((rule): Finding[] => {
      const match = rule.pattern.exec(content);
      return match === null ? [] : [{ rule: 'words', path, line: index + 1, text: `${match[0]} ${rule.text}` }];
    }),
  );
}
