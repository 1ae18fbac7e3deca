import { derivedFiles } from '../docs/pages.js';
import { publishedPackages, repositoryRoot } from '../repository.js';
import { sizeHead, sizeRows } from '../structure/figures.js';
import { checkStructure, findingText } from '../structure/index.js';
import { readTree } from '../structure/source-tree.js';
import { table } from '../table.js';
import { checkChangesets } from './changesets.js';
import { type Gate, type GateResult, programGate, runTool } from './gate.js';
import { checkLoadedModules } from './loaded-modules.js';
import { buildAll, type PackedPackages } from './packed.js';
import { checkSizes } from './size.js';

const tsc = 'node_modules/typescript/bin/tsc';

/** Every gate, the cheap ones first. `packed` gives the tarballs, packed once for all that want them. */
export function allGates(packed: () => Promise<PackedPackages>): readonly Gate[] {
  return [
    programGate('format and lint', 'node_modules/@biomejs/biome/bin/biome', ['ci', '--colors=off', '.']),
    { name: 'structure', run: structure },
    { name: 'changesets', run: async () => checkChangesets(repositoryRoot, publishedPackages) },
    programGate('unused code', 'node_modules/knip/bin/knip.js', ['--no-progress', '--no-config-hints']),
    programGate('unused code in production', 'node_modules/knip/bin/knip.js', [
      '--no-progress',
      '--no-config-hints',
      '--production',
    ]),
    // Two programs for all workspaces: one per workspace would read and check core's sources ten times.
    programGate('types of packages', tsc, ['-p', 'tsconfig.packages.json']),
    programGate('types of benches, tooling and examples', tsc, ['-p', 'tsconfig.programs.json']),
    { name: 'build', run: buildAll },
    // The error tables import core, which is found in its build.
    { name: 'docs', needs: 'build', run: docs },
    { name: 'size', needs: 'build', run: checkSizes },
    { name: 'loaded modules', needs: 'build', run: checkLoadedModules },
    ...publishedPackages.flatMap((id) => [
      tarballGate(`package lint ${id}`, packed, id, 'node_modules/publint/src/cli.js', ['--strict']),
      tarballGate(`package types ${id}`, packed, id, 'node_modules/@arethetypeswrong/cli/dist/index.js', [
        '--profile',
        'node16',
        '--no-emoji',
        '--no-color',
      ]),
    ]),
  ];
}

async function structure(): Promise<GateResult> {
  const tree = readTree(repositoryRoot);
  const { findings, typeCycles } = checkStructure(tree);
  const figures = `${table(sizeHead, sizeRows(tree))}\nGroups of files that meet in a cycle through types only: ${typeCycles}`;
  return { ok: findings.length === 0, output: findings.map(findingText).join('\n'), figures };
}

async function docs(): Promise<GateResult> {
  const files = await derivedFiles(readTree(repositoryRoot));
  const problems = files.flatMap(({ path, actual, wanted, problems: found }) => [
    ...found.map((text) => `${path}: ${text}`),
    ...(actual === wanted ? [] : [`${path} is not what it should be: npm run docs`]),
  ]);
  return { ok: problems.length === 0, output: problems.join('\n') };
}

function tarballGate(
  name: string,
  packed: () => Promise<PackedPackages>,
  id: string,
  program: string,
  args: readonly string[],
): Gate {
  return {
    name,
    needs: 'build',
    run: async () => {
      const tarball = (await packed()).tarballs.get(id);
      if (tarball === undefined) return { ok: false, output: `npm pack made no tarball of ${id}.` };
      const { code, stdout, stderr } = await runTool(program, [tarball, ...args]);
      return { ok: code === 0, output: `${stdout}${stderr}` };
    },
  };
}
