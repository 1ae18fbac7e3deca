import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** What became of one page. */
export interface SnippetPage {
  /** The page as it should be. */
  readonly text: string;
  /** What cannot be mended by writing the page anew. */
  readonly problems: readonly string[];
}

const fence = /^(?<fence>`{3,})(?<language>[a-z]*)[^\n]*\n(?<body>[\s\S]*?)^\k<fence>[ \t]*$/gm;
const marker = /<!-- snippet: (?<path>[\w./-]+?)(?:#(?<region>[\w-]+))? -->\n+$/;
const lonely = /<!-- snippet: [^>]*-->\n+(?!\n|`{3})/g;
const code = new Set(['ts', 'typescript', 'js', 'javascript', 'mjs', 'cjs']);

/**
 * Puts into every code block of a page the file or region of `examples/snippets` that the comment before it names. A
 * block of TypeScript or JavaScript without such a comment is a problem: nobody would run it.
 */
export function withSnippets(page: string, snippetFolder: string): SnippetPage {
  const problems: string[] = [];
  for (const lost of page.matchAll(lonely)) {
    const line = page.slice(0, lost.index).split('\n').length;
    problems.push(`line ${line}: a snippet comment without a code block behind it`);
  }
  const text = page.replace(fence, (block, ...rest) => {
    const { language = '', fence: ticks = '```' } = rest.at(-1) as Record<string, string>;
    const offset = rest.at(-3) as number;
    const named = marker.exec(page.slice(0, offset))?.groups;
    const line = page.slice(0, offset).split('\n').length;
    if (named === undefined) {
      if (code.has(language)) problems.push(`line ${line}: a code block without a snippet comment before it`);
      return block;
    }
    const wanted = snippetText(snippetFolder, named['path'] ?? '', named['region']);
    if (wanted.problem !== undefined) {
      problems.push(`line ${line}: ${wanted.problem}`);
      return block;
    }
    return `${ticks}${language}\n${wanted.text}${ticks}`;
  });
  return { text, problems };
}

function snippetText(
  folder: string,
  path: string,
  region: string | undefined,
): { readonly text: string; readonly problem?: undefined } | { readonly problem: string } {
  const file = join(folder, path);
  if (!existsSync(file)) return { problem: `there is no examples/snippets/${path}` };
  const lines = readFileSync(file, 'utf8').replace(/\n+$/, '').split('\n');
  const isMarker = (line: string): boolean => /^\s*\/\/ #(end)?region\b/.test(line);
  if (region === undefined) return { text: joined(lines.filter((line) => !isMarker(line))) };
  const first = lines.findIndex((line) => line.trim() === `// #region ${region}`);
  const last = lines.findIndex((line, index) => index > first && line.trim() === '// #endregion');
  if (first === -1 || last === -1) return { problem: `examples/snippets/${path} has no region ${region}` };
  return { text: joined(withoutIndent(lines.slice(first + 1, last).filter((line) => !isMarker(line)))) };
}

function withoutIndent(lines: readonly string[]): readonly string[] {
  const indents = lines.filter((line) => line.trim() !== '').map((line) => line.search(/\S/));
  const least = indents.length === 0 ? 0 : Math.min(...indents);
  return lines.map((line) => line.slice(least));
}

function joined(lines: readonly string[]): string {
  return `${lines.join('\n')}\n`;
}
