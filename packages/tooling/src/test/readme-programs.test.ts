import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { repositoryRoot } from '../repository.js';
import { readmePrograms } from './readme-programs.js';

const page = (...blocks: readonly (readonly [path: string, body: string])[]): string =>
  blocks.map(([path, body]) => `<!-- snippet: ${path} -->\n\`\`\`ts\n${body}\n\`\`\`\n`).join('\n');

describe('readmePrograms', () => {
  it('takes each block by itself, with what it continues, and files by their names', () => {
    const found = readmePrograms(
      page(
        ['a/one.ts#a', 'const a = 1;'],
        ['a/two.ts', '// called.ts\nlisten();'],
        ['a/three.ts', '// Needs a manager.\nuse();'],
        ['a/four.ts', 'alone();'],
        ['a/one.ts#b', '// Continues the first example.\nuse(a);'],
      ),
    );
    expect(found.programs).toEqual([
      { line: 2, text: 'const a = 1;\n' },
      { line: 19, text: 'alone();\n' },
      { line: 24, text: 'const a = 1;\n// Continues the first example.\nuse(a);\n' },
    ]);
    expect([...found.files]).toEqual([['called.ts', '// called.ts\nlisten();\n']]);
    expect(found.fragments).toBe(1);
  });

  it('finds every block of the README of apm, of which one needs what is elsewhere', () => {
    const text = readFileSync(join(repositoryRoot, 'packages', 'apm', 'README.md'), 'utf8');
    const { programs, files, fragments } = readmePrograms(text);
    expect(programs.length + files.size + fragments).toBe(text.match(/^```ts$/gm)?.length);
    expect([files.size, fragments]).toEqual([1, 1]);
  });
});
