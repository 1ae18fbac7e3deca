import { isShipped, type SourceTree, type Workspace } from './source-tree.js';

/** Size figures of the tree, one row per published package: drift is seen before it is a rule. */
export function sizeRows({ workspaces }: SourceTree): readonly (readonly string[])[] {
  const packages = workspaces.filter(({ group, manifest }) => group === 'packages' && manifest.private !== true);
  const everything = { id: 'all', files: packages.flatMap(({ files }) => files) };
  return [...packages, everything].map(sizeRow);
}

export const sizeHead: readonly string[] = [
  'package',
  'files',
  'lines',
  'file p50/p95/max',
  'function p50/p95/max',
  'test/src',
  'documented exports',
];

function sizeRow({ id, files }: Pick<Workspace, 'id' | 'files'>): readonly string[] {
  const shipped = files.filter(isShipped);
  const lines = sum(shipped.map((file) => file.lines));
  const testLines = sum(files.filter(({ path }) => path.endsWith('.test.ts')).map((file) => file.lines));
  const functions = shipped.filter(({ path }) => !path.endsWith('-contract.ts')).flatMap((file) => file.functions);
  const exported = shipped.flatMap((file) => file.exported);
  const documented = exported.filter((one) => one.documented).length;
  return [
    id,
    String(shipped.length),
    String(lines),
    spread(shipped.map((file) => file.lines)),
    spread(functions.map((one) => one.lines)),
    lines === 0 ? '' : (testLines / lines).toFixed(2),
    exported.length === 0 ? '' : `${Math.round((100 * documented) / exported.length)} %`,
  ];
}

function spread(values: readonly number[]): string {
  const sorted = [...values].sort((left, right) => left - right);
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
  return `${at(0.5)}/${at(0.95)}/${sorted.at(-1) ?? 0}`;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
