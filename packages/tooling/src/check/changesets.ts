import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { GateResult } from './gate.js';

/** Each published package is either announced by a changeset or released: its changelog has its version. */
export function checkChangesets(root: string, packages: readonly string[]): GateResult {
  const folder = join(root, '.changeset');
  const announced = new Set<string>();
  const problems: string[] = [];
  for (const file of readdirSync(folder).filter((name) => name.endsWith('.md') && name !== 'README.md')) {
    const text = readFileSync(join(folder, file), 'utf8');
    const [, head = '', body = ''] = /^---\n([\s\S]*?)\n---\n([\s\S]*)$/.exec(text) ?? [];
    for (const line of head.split('\n').filter((one) => one.trim() !== '')) {
      const [, name = '', bump = ''] = /^['"]?([^'":]+)['"]?:\s*(\w+)$/.exec(line) ?? [];
      const id = name.replace('@mnops/', '');
      if (!packages.includes(id)) problems.push(`.changeset/${file}: ${line} names no published package`);
      if (!['patch', 'minor', 'major'].includes(bump)) problems.push(`.changeset/${file}: ${line} says no size`);
      announced.add(id);
    }
    if (body.trim() === '') problems.push(`.changeset/${file} says nothing to the reader of the changelog`);
  }
  for (const id of packages.filter((one) => !announced.has(one) && !isReleased(root, one))) {
    problems.push(`@mnops/${id}: no changeset, and its changelog does not have its version`);
  }
  return { ok: problems.length === 0, output: problems.join('\n') };
}

function isReleased(root: string, id: string): boolean {
  const folder = join(root, 'packages', id);
  const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version: string };
  const changelog = join(folder, 'CHANGELOG.md');
  return existsSync(changelog) && readFileSync(changelog, 'utf8').split('\n').includes(`## ${version}`);
}
