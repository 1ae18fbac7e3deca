import { isBuiltin } from 'node:module';
import type { SourceFile, SourceImport } from './source-file.js';
import { type Finding, isShipped, resolveRelative, type SourceTree, type Workspace } from './source-tree.js';

/** Which floor may import which: examples over domains over core, and nobody sideways. */
export function importFindings({ workspaces }: SourceTree): readonly Finding[] {
  return workspaces.flatMap((workspace) =>
    workspace.files.flatMap((file) =>
      file.imports.flatMap((imported): Finding[] => {
        const text = importProblem(workspace, file, imported);
        return text === undefined ? [] : [{ rule: 'imports', path: file.path, line: imported.line, text }];
      }),
    ),
  );
}

function importProblem(workspace: Workspace, file: SourceFile, { specifier }: SourceImport): string | undefined {
  if (specifier.startsWith('.')) return relativeProblem(workspace, file, specifier);
  if (specifier.startsWith('@mnops/')) return floorProblem(workspace, file, specifier);
  if (isBuiltin(specifier)) return specifier.startsWith('node:') ? undefined : `${specifier}: write node:${specifier}`;
  return isShipped(file) && workspace.id !== 'tooling' ? dependencyProblem(workspace, specifier) : undefined;
}

function relativeProblem({ folder }: Workspace, file: SourceFile, specifier: string): string | undefined {
  if (!/\.(js|json|ts|mjs|cjs)$/.test(specifier)) return `${specifier}: a relative import ends in .js`;
  const target = resolveRelative(file, specifier);
  const isConfiguration = /\/(tsup|vitest)\.config\.ts$/.test(file.path);
  if (!target.startsWith(`${folder}/`)) {
    if (isConfiguration && target.startsWith('packages/tooling/src/')) return undefined;
    return `${specifier}: leaves the workspace; import it by name`;
  }
  const root = `${folder}/src/index.ts`;
  // A program uses the package as an application does.
  if (target === root && isShipped(file) && !file.path.startsWith(`${folder}/src/cli/`)) {
    return `${specifier}: the root of a package is not imported from inside it`;
  }
  return undefined;
}

function floorProblem({ group, id, manifest }: Workspace, file: SourceFile, specifier: string): string | undefined {
  const target = specifier.split('/')[1] ?? '';
  if (target.startsWith('example-')) return `${specifier}: nothing imports an example`;
  if (target === 'tooling') {
    if (id === 'tooling' || !isShipped(file)) return undefined;
    return `${specifier}: published code does not use the tooling`;
  }
  if (group === 'examples') return undefined;
  if (id === 'tooling') return `${specifier}: the tooling depends on no other package`;
  if (specifier === manifest.name || specifier.startsWith(`${manifest.name}/`)) {
    return isShipped(file) ? `${specifier}: inside a package, import by relative path` : undefined;
  }
  if (target !== 'core') return `${specifier}: a package imports @mnops/core only; the application joins domains`;
  return undefined;
}

function dependencyProblem({ manifest }: Workspace, specifier: string): string | undefined {
  const parts = specifier.split('/');
  const name = specifier.startsWith('@') ? parts.slice(0, 2).join('/') : (parts[0] ?? '');
  if (Object.hasOwn({ ...manifest.dependencies, ...manifest.peerDependencies }, name)) return undefined;
  const isHeld = manifest.heldDependencies?.includes(name) === true;
  if (isHeld && Object.hasOwn(manifest.devDependencies ?? {}, name)) return undefined;
  return `${specifier}: ${name} is not in dependencies or peerDependencies of ${manifest.name}`;
}
