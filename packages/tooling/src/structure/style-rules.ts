import { posix } from 'node:path';
import type { SourceFile } from './source-file.js';
import { type Finding, isShipped, isTest, type SourceTree } from './source-tree.js';

const longestFile = 500;
const longestFunction = 80;

/** File length, names, and constructs that the house does not use. */
export function styleFindings({ workspaces }: SourceTree): readonly Finding[] {
  const files = workspaces.flatMap((workspace) => workspace.files);
  const ourClasses = new Set(files.filter(isShipped).flatMap(({ classes }) => classes));
  return files.flatMap((file) => [
    ...lengthFindings(file),
    ...nameFindings(file),
    ...constructFindings(file),
    ...(isTest(file.path) ? [] : instanceFindings(file, ourClasses)),
  ]);
}

function lengthFindings(file: SourceFile): readonly Finding[] {
  const { path, lines, functions } = file;
  const tooLong = lines > longestFile ? [{ rule: 'length', path, text: `${lines} lines, at most ${longestFile}` }] : [];
  // A contract suite is one function around its cases.
  if (isTest(path) || path.endsWith('-contract.ts')) return tooLong;
  const longFunctions = functions
    .filter((one) => one.lines > longestFunction)
    .map((one) => ({
      rule: 'length',
      path,
      line: one.line,
      text: `${one.name} has ${one.lines} lines, at most ${longestFunction}`,
    }));
  return [...tooLong, ...longFunctions];
}

function nameFindings({ path }: SourceFile): readonly Finding[] {
  const words = path.split('/').slice(2);
  const base = posix.basename(path).replace(/(\.[a-z0-9-]+)*\.[cm]?ts$/, '');
  if (!/^[a-z0-9]+(-[a-z0-9]+)*$/.test(base)) return [{ rule: 'name', path, text: 'file names are kebab-case' }];
  const vague = [...words.slice(0, -1), base].find((word) => /^(utils?|common|helpers?|misc)$/.test(word));
  return vague === undefined ? [] : [{ rule: 'name', path, text: `${vague} says nothing about what is inside` }];
}

function constructFindings(file: SourceFile): readonly Finding[] {
  const { path, constructs, text } = file;
  const found = constructs
    .filter(({ construct }) => construct !== 'module-level variable' || isShipped(file))
    .map(({ construct, line }) => ({ rule: 'construct', path, line, text: `${construct} is not used here` }));
  const silenced = text.split('\n').flatMap((content, index): Finding[] => {
    const match = /(?:\/\/|\/\*)\s*(@ts-(?:ignore|nocheck)|biome-ignore)/.exec(content);
    return match === null ? [] : [{ rule: 'construct', path, line: index + 1, text: `${match[1]} is not used here` }];
  });
  return [...found, ...silenced];
}

function instanceFindings({ path, instanceOf }: SourceFile, ourClasses: ReadonlySet<string>): readonly Finding[] {
  return instanceOf
    .filter(({ name }) => ourClasses.has(name))
    .map(({ name, line }) => ({
      rule: 'construct',
      path,
      line,
      text: `instanceof ${name}: an application may hold several copies of the class; use a brand`,
    }));
}
