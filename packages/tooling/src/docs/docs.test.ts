import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readTree } from '../structure/source-tree.js';
import { errorsPage } from './errors-page.js';
import { operationsPage } from './operations-page.js';
import { withSnippets } from './snippets.js';

let root = '';
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'mnops-docs-'));
});
afterEach(() => rmSync(root, { recursive: true }));

describe('snippets', () => {
  const block = (comment: string, body: string): string => `Text\n\n${comment}\n\`\`\`ts\n${body}\`\`\`\n\nMore\n`;

  beforeEach(() => {
    mkdirSync(join(root, 'dr'));
    writeFileSync(
      join(root, 'dr', 'drill.ts'),
      `import { drill } from '@mnops/dr';\n\nasync function run() {\n  // #region drill\n  await drill();\n    deeper();\n  // #endregion\n}\n`,
    );
  });

  it('are a whole file without its region marks', () => {
    const { text, problems } = withSnippets(block('<!-- snippet: dr/drill.ts -->', 'old\n'), root);
    const whole = `import { drill } from '@mnops/dr';\n\nasync function run() {\n  await drill();\n    deeper();\n}\n`;
    expect(text).toBe(block('<!-- snippet: dr/drill.ts -->', whole));
    expect(problems).toEqual([]);
  });

  it('are a region without its indent', () => {
    const page = block('<!-- snippet: dr/drill.ts#drill -->', '');
    const { text } = withSnippets(page, root);
    expect(text).toBe(block('<!-- snippet: dr/drill.ts#drill -->', 'await drill();\n  deeper();\n'));
    expect(withSnippets(text, root).text).toBe(text);
  });

  it('must exist, and code must be one', () => {
    const gone = withSnippets(block('<!-- snippet: dr/gone.ts -->', 'old\n'), root);
    expect(gone.problems).toEqual(['line 4: there is no examples/snippets/dr/gone.ts']);
    const noRegion = withSnippets(block('<!-- snippet: dr/drill.ts#other -->', 'old\n'), root);
    expect(noRegion.problems).toEqual(['line 4: examples/snippets/dr/drill.ts has no region other']);
    expect(withSnippets(block('', 'x();\n'), root).problems).toHaveLength(1);
    expect(withSnippets('```sh\nnpm test\n```\n', root).problems).toEqual([]);
    const lonely = withSnippets('One\n\n<!-- snippet: dr/drill.ts -->\n\nTwo\n', root);
    expect(lonely.problems).toEqual(['line 3: a snippet comment without a code block behind it']);
  });
});

it('lists every error code with where it is thrown', async () => {
  mkdirSync(join(root, 'packages/dr/src/restore'), { recursive: true });
  writeFileSync(join(root, 'packages/dr/package.json'), '{ "name": "@mnops/dr" }');
  const entry = `{ retryable: true, meaning: 'Lost | gone.', remedy: 'Look.' }`;
  writeFileSync(join(root, 'packages/dr/src/codes.ts'), `export const codes = {\n  MNOPS_DR_LOST: ${entry},\n};\n`);
  writeFileSync(join(root, 'packages/dr/src/restore/files.ts'), `throw drError('MNOPS_DR_LOST');\n`);
  const page = await errorsPage(readTree(root));
  expect(page).toContain('| `MNOPS_DR_LOST` | yes | Lost \\| gone. | Look. | `dr/restore` |');
});

it('lists every operation, and says which of them nobody publishes', async () => {
  const folder = join(root, 'packages/core/src/operations/catalogue');
  mkdirSync(folder, { recursive: true });
  mkdirSync(join(root, 'packages/dr/src'), { recursive: true });
  for (const id of ['core', 'dr'])
    writeFileSync(join(root, `packages/${id}/package.json`), `{ "name": "@mnops/${id}" }`);
  const drill = `'mnops:dr:drill': { fields: ['plan', 'rtoMs'], labelFields: ['plan'] }`;
  const log = `'mnops:core:log': { fields: ['waited'], labelFields: [], routine: true, instantUnless: 'waited' }`;
  writeFileSync(join(folder, 'index.ts'), `export const operationCatalogue = { ${log}, ${drill} };\n`);
  writeFileSync(join(root, 'packages/dr/src/manager.ts'), `traced('mnops:dr:drill', {}, run);\n`);
  const { text, problems } = await operationsPage(readTree(root));
  expect(text).toContain('| `drill` | `plan` | `rtoMs` | always |');
  expect(text).toContain('| `log` |  | `waited` | inside another one, if `waited` |');
  expect(problems).toEqual(['no source of packages/core publishes mnops:core:log']);
});
