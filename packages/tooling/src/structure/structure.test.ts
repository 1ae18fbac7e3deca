import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { codeUses } from './code-rules.js';
import { sizeRows } from './figures.js';
import { checkStructure, findingText } from './index.js';
import { readTree } from './source-tree.js';

let root = '';
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'mnops-structure-'));
  manifest('core');
  manifest('dr');
  write('packages/tooling/package.json', JSON.stringify({ name: '@mnops/tooling', private: true }));
  write('packages/core/src/index.ts', `export { codes } from './codes.js';\n`);
  write('packages/core/src/codes.ts', `export const codes = {\n  MNOPS_CORE_CLOSED: { retryable: false },\n};\n`);
  write('packages/core/src/door.ts', `import { errorsOf } from './errors.js';\nthrow errorsOf('MNOPS_CORE_CLOSED');\n`);
  write(
    'packages/core/src/errors.ts',
    `/** Makes errors. */\nexport function errorsOf(code: string): Error {\n  return new Error(code);\n}\n`,
  );
  write('packages/dr/src/index.ts', `export { drill } from './drill.js';\n`);
  write('packages/dr/src/drill.ts', `import { codes } from '@mnops/core';\nexport const drill = codes;\n`);
});
afterEach(() => rmSync(root, { recursive: true }));

function write(path: string, text: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}

function manifest(id: string, changes: Record<string, unknown> = {}): void {
  const source = { '@mnops/source': './src/index.ts', import: {}, require: {} };
  const usual = {
    name: `@mnops/${id}`,
    description: id,
    keywords: [],
    homepage: 'x',
    bugs: 'x',
    license: 'MIT',
    type: 'module',
    sideEffects: false,
    engines: { node: '>=20.19' },
    publishConfig: { access: 'public' },
    repository: { directory: `packages/${id}` },
    files: ['dist', 'src'],
    exports: { '.': source, './package.json': './package.json' },
  };
  write(`packages/${id}/package.json`, JSON.stringify({ ...usual, ...changes }));
}

function findings(): readonly string[] {
  return checkStructure(readTree(root)).findings.map(findingText);
}

it('finds nothing in a tree that keeps the rules', () => {
  expect(findings()).toEqual([]);
});

it.each([
  ['packages/dr/src/a.ts', `import '@mnops/secrets';`, /imports @mnops\/core only/],
  ['packages/dr/src/a.ts', `import '@mnops/tooling/parts';`, /does not use the tooling/],
  ['packages/dr/src/a.ts', `import '@mnops/dr';`, /import by relative path/],
  ['packages/dr/src/a.ts', `import '../../core/src/door.js';`, /leaves the workspace/],
  ['packages/dr/src/a.ts', `import { drill } from './index.js';`, /root of a package is not imported/],
  ['packages/dr/src/a.ts', `import './drill';`, /ends in \.js/],
  ['packages/dr/src/a.ts', `import 'fs';`, /write node:fs/],
  ['packages/dr/src/a.ts', `const sdk = await import('left-pad/sub');`, /left-pad is not in dependencies/],
  ['packages/dr/src/a.ts', `import '@mnops/example-shop';`, /nothing imports an example/],
  ['packages/tooling/src/a.ts', `import '@mnops/core';`, /depends on no other package/],
])('refuses an import in %s: %s', (path, text, expected) => {
  write(path, text);
  expect(findings()).toEqual([expect.stringMatching(expected)]);
});

it('lets a package use a development dependency that its built files hold', () => {
  write('packages/dr/src/a.ts', `import 'left-pad/sub';`);
  manifest('dr', { devDependencies: { 'left-pad': '1.0.0' } });
  expect(findings()).toEqual([expect.stringMatching(/left-pad is not in dependencies/)]);
  manifest('dr', { devDependencies: { 'left-pad': '1.0.0' }, heldDependencies: ['left-pad'] });
  expect(findings()).toEqual([]);
});

it('lets tests use the tooling, and examples use packages', () => {
  write('packages/dr/src/a.test.ts', `import '@mnops/tooling/parts';\nimport 'vitest';\n`);
  write('packages/dr/bench/a.bench.ts', `import '@mnops/dr';\n`);
  write('examples/shop/package.json', JSON.stringify({ name: '@mnops/example-shop', private: true }));
  write('examples/shop/src/main.ts', `import '@mnops/dr';\nimport '@mnops/core';\n`);
  expect(findings()).toEqual([]);
});

it('finds cycles, and counts those through types apart', () => {
  write('packages/dr/src/a.ts', `import { b } from './b.js';\nexport const a = b;\n`);
  write('packages/dr/src/b.ts', `import { a } from './a.js';\nexport const b = () => a;\n`);
  write('packages/dr/src/c.ts', `import type { D } from './d.js';\nexport type C = D;\n`);
  write('packages/dr/src/d.ts', `import { type C } from './c.js';\nexport type D = C;\n`);
  const { findings: found, typeCycles } = checkStructure(readTree(root));
  expect(found.map(findingText)).toEqual([
    expect.stringMatching(/import each other: packages\/dr\/src\/a\.ts, packages/),
  ]);
  expect(typeCycles).toBe(1);
});

it.each([
  [`export * from './drill.js';`, /export \* is not used/],
  ['export function f(value: any): void {}', /any is not used/],
  ['let count = 0;', /module-level variable/],
  [`// @ts-${'ignore'}\n`, /@ts-ignore/],
  ['export class Door {}\nexport const is = (x: unknown) => x instanceof Door;', /instanceof Door/],
  ['\n'.repeat(501), /501 lines, at most 500/],
  [`export function f(): void {${'\n'.repeat(90)}}`, /f has 91 lines, at most 80/],
  [`// ${'TO'}DO: later`, /promises work/],
  [`// see /${'ro'}ot/notes`, /path of one machine/],
  [`// https://registry.npm${'js'}.org`, /package registry/],
])('refuses in published code: %s', (text, expected) => {
  write('packages/dr/src/a.ts', text);
  expect(findings()).toEqual([expect.stringMatching(expected)]);
});

it('refuses names that say nothing', () => {
  write('packages/dr/src/utils.ts', '');
  write('packages/dr/src/BigFile.ts', '');
  expect(findings()).toEqual([expect.stringMatching(/kebab-case/), expect.stringMatching(/utils says nothing/)]);
});

it('holds code tables and thrown codes together', () => {
  write(
    'packages/dr/src/codes.ts',
    `export const codes = {\n  MNOPS_DR_LOST: {},\n  MNOPS_DR_NEVER: {},\n  MNOPS_CORE_X: {},\n};\n`,
  );
  write(
    'packages/dr/src/a.ts',
    `throw make('MNOPS_DR_LOST');\nnew MnopsError('MNOPS_DR_LOST');\nthrow make('MNOPS_DR_INVENTED');\nif (code === 'MNOPS_DR_NEVER') stop();\n`,
  );
  expect(findings()).toEqual([
    expect.stringMatching(/MNOPS_DR_NEVER is never thrown/),
    expect.stringMatching(/MNOPS_CORE_X does not begin with MNOPS_DR_/),
    expect.stringMatching(/MNOPS_DR_LOST as a bare string/),
    expect.stringMatching(/MNOPS_DR_INVENTED is in no table/),
  ]);
  expect(codeUses(readTree(root))).toContainEqual({ code: 'MNOPS_DR_LOST', places: ['dr'] });
});

it('wants provider folders exported and held to a contract', () => {
  write('packages/dr/src/providers/tape/index.ts', 'export const tape = 1;\n');
  expect(findings()).toEqual([expect.stringMatching(/neither a subpath/), expect.stringMatching(/contract suite/)]);
  write('packages/dr/src/providers/tape/index.test.ts', 'storeContract({}, tape);\n');
  write('packages/dr/src/index.ts', `export { tape } from './providers/tape/index.js';\n`);
  expect(findings()).toEqual([]);
});

it('checks metadata, exports and that dependencies load as CommonJS', () => {
  write(
    'packages/dr/node_modules/modern/package.json',
    '{ "name": "modern", "type": "module", "exports": "./index.js" }',
  );
  write('packages/dr/node_modules/modern/index.js', 'export const modern = 1;\n');
  const exports = { '.': { '@mnops/source': './src/gone.ts', import: {}, require: {} }, './package.json': 'x' };
  const peerDependencies = { sdk: '3', '@mnops/core': '1' };
  manifest('dr', { license: 'ISC', exports, peerDependencies, dependencies: { modern: '1' } });
  expect(findings()).toEqual([
    expect.stringMatching(/license is MIT/),
    expect.stringMatching(/@mnops\/core is a peer/),
    expect.stringMatching(/peer sdk is not optional/),
    expect.stringMatching(/peer @mnops\/core is not optional/),
    expect.stringMatching(/gone\.ts, which does not exist/),
    expect.stringMatching(/modern does not load as CommonJS: ERR_REQUIRE_ESM/),
  ]);
});

it('gives the sizes of the tree', () => {
  const rows = sizeRows(readTree(root));
  expect(rows.map(([id]) => id)).toEqual(['core', 'dr', 'all']);
  expect(rows[0]).toEqual(['core', '4', '10', '3/4/4', '3/3/3', '0.00', '50 %']);
});
