import { codeFindings } from './code-rules.js';
import { findCycles } from './cycles.js';
import { importFindings } from './import-rules.js';
import { packageFindings } from './package-rules.js';
import type { Finding, SourceTree } from './source-tree.js';
import { styleFindings } from './style-rules.js';
import { wordFindings } from './word-rules.js';

/** Everything in the tree that breaks a rule of the house, and how many cycles there are through types alone. */
export function checkStructure(tree: SourceTree): {
  readonly findings: readonly Finding[];
  readonly typeCycles: number;
} {
  const cycles = findCycles(tree);
  const findings = [
    ...importFindings(tree),
    ...cycles.findings,
    ...styleFindings(tree),
    ...packageFindings(tree),
    ...codeFindings(tree),
    ...wordFindings(tree.root),
  ];
  return { findings, typeCycles: cycles.throughTypes };
}

/** A finding as one line. */
export function findingText({ rule, path, line, text }: Finding): string {
  return `${path}${line === undefined ? '' : `:${line}`}  ${rule}: ${text}`;
}
