import type { Finding, SourceTree } from './source-tree.js';
import { resolveRelative } from './source-tree.js';

/** What going round in circles was found between files. */
export interface Cycles {
  /** Through imports that stay when types are stripped: not allowed. */
  readonly findings: readonly Finding[];
  /** How many more groups of files meet only through type imports: allowed, but counted. */
  readonly throughTypes: number;
}

/** Finds groups of files that import each other. */
export function findCycles({ workspaces }: SourceTree): Cycles {
  const groupsOf = (withTypes: boolean): readonly (readonly string[])[] => {
    const edges = new Map<string, string[]>();
    for (const file of workspaces.flatMap(({ files }) => files)) {
      const targets = file.imports
        .filter(({ specifier, typeOnly }) => specifier.startsWith('.') && (withTypes || !typeOnly))
        .map(({ specifier }) => resolveRelative(file, specifier));
      edges.set(file.path, targets);
    }
    return connectedGroups(edges);
  };
  const groups = groupsOf(false);
  const findings = groups.map((group) => ({
    rule: 'cycle',
    path: group[0] ?? '',
    text: `files import each other: ${group.join(', ')}`,
  }));
  return { findings, throughTypes: groupsOf(true).length - groups.length };
}

/** Strongly connected groups of more than one file, or of a file that imports itself (Tarjan's algorithm). */
function connectedGroups(edges: ReadonlyMap<string, readonly string[]>): readonly (readonly string[])[] {
  const index = new Map<string, number>();
  const low = new Map<string, number>();
  const stack: string[] = [];
  const groups: string[][] = [];
  const enter = (path: string): void => {
    index.set(path, index.size);
    low.set(path, index.size - 1);
    stack.push(path);
    for (const target of edges.get(path) ?? []) {
      if (!edges.has(target)) continue;
      if (!index.has(target)) enter(target);
      else if (!stack.includes(target)) continue;
      low.set(path, Math.min(low.get(path) ?? 0, low.get(target) ?? 0));
    }
    if (low.get(path) !== index.get(path)) return;
    const group = stack.splice(stack.indexOf(path));
    if (group.length > 1 || edges.get(path)?.includes(path)) groups.push(group.sort());
  };
  for (const path of edges.keys()) if (!index.has(path)) enter(path);
  return groups;
}
