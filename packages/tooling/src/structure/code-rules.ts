import { type Finding, isShipped, type SourceTree, type Workspace } from './source-tree.js';

/** Where one error code is made. */
export interface CodeUse {
  readonly code: string;
  /** Package ids with folder, such as `core/http`. */
  readonly places: readonly string[];
}

/** Tables and use of error codes agree: every code is made somewhere, none is made that has no entry. */
export function codeFindings(tree: SourceTree): readonly Finding[] {
  const packages = tree.workspaces.filter(({ group, id }) => group === 'packages' && id !== 'tooling');
  const tables = new Map(packages.map((workspace) => [workspace.id, tableOf(workspace)]));
  const known = new Set([...tables.values()].flat());
  const made = new Set(codeUses(tree).map(({ code }) => code));
  const tableFindings = [...tables].flatMap(([id, codes]) =>
    codes.flatMap((code): Finding[] => {
      const path = `packages/${id}/src/codes.ts`;
      const area = `MNOPS_${id.toUpperCase()}_`;
      if (!code.startsWith(area)) return [{ rule: 'codes', path, text: `${code} does not begin with ${area}` }];
      return made.has(code) ? [] : [{ rule: 'codes', path, text: `${code} is never thrown` }];
    }),
  );
  const useFindings = packages.flatMap(({ files }) =>
    files.filter(isShipped).flatMap(({ path, codes }) =>
      codes.flatMap(({ code, line, use }): Finding[] => {
        if (!known.has(code)) return [{ rule: 'codes', path, line, text: `${code} is in no table` }];
        if (use !== 'bare' || path.startsWith('packages/core/src/errors/')) return [];
        return [{ rule: 'codes', path, line, text: `${code} as a bare string: make it with errorsOf or coreError` }];
      }),
    ),
  );
  return [...tableFindings, ...useFindings];
}

/** Where each code is made, by package and folder. */
export function codeUses({ workspaces }: SourceTree): readonly CodeUse[] {
  const places = new Map<string, Set<string>>();
  for (const { group, files } of workspaces) {
    if (group !== 'packages') continue;
    for (const file of files) {
      // Contract suites ask for codes; they do not make them.
      if (!isShipped(file) || file.path.endsWith('/src/codes.ts') || file.path.includes('/core/src/testing/')) continue;
      const [, id = '', , ...rest] = file.path.split('/');
      const folder =
        rest.length > 1 && rest[0] !== 'providers' ? `${id}/${rest[0]}` : rest.length > 2 ? `${id}/${rest[1]}` : id;
      for (const { code, use } of file.codes) {
        if (use !== 'compared') places.set(code, (places.get(code) ?? new Set()).add(folder));
      }
    }
  }
  return [...places].map(([code, folders]) => ({ code, places: [...folders].sort() }));
}

/** Codes of a package's table: the keys of the object in `src/codes.ts`. */
function tableOf({ folder, files }: Workspace): readonly string[] {
  const file = files.find(({ path }) => path === `${folder}/src/codes.ts`);
  return [...(file?.text ?? '').matchAll(/^\s+['"]?(MNOPS_[A-Z0-9_]+)['"]?\s*:/gm)].map(([, code]) => code ?? '');
}
