import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Finding, Manifest, SourceTree, Workspace } from './source-tree.js';

/** Published packages: their metadata, export maps, provider folders and runtime dependencies. */
export function packageFindings({ root, workspaces }: SourceTree): readonly Finding[] {
  return workspaces
    .filter(({ group, manifest }) => group === 'packages' && manifest.private !== true)
    .flatMap((workspace) => {
      const path = `${workspace.folder}/package.json`;
      const problems = [
        ...metadataProblems(workspace),
        ...exportProblems(root, workspace),
        ...loadProblems(root, workspace),
      ];
      return [...problems.map((text) => ({ rule: 'package', path, text })), ...providerFindings(workspace)];
    });
}

function metadataProblems({ id, folder, manifest }: Workspace): readonly string[] {
  const wanted: readonly (readonly [string, boolean])[] = [
    [`name is @mnops/${id}`, manifest.name === `@mnops/${id}`],
    ['license is MIT', manifest['license'] === 'MIT'],
    ['type is module', manifest['type'] === 'module'],
    ['sideEffects is false', manifest['sideEffects'] === false],
    ['engines.node is >=20.19', field(manifest['engines'], 'node') === '>=20.19'],
    ['publishConfig.access is public', field(manifest['publishConfig'], 'access') === 'public'],
    [`repository.directory is ${folder}`, field(manifest['repository'], 'directory') === folder],
    [
      'description, keywords, homepage and bugs are given',
      ['description', 'keywords', 'homepage', 'bugs'].every((name) => manifest[name] !== undefined),
    ],
    [
      'files has dist and src',
      ['dist', 'src'].every((name) => (manifest['files'] as readonly string[] | undefined)?.includes(name)),
    ],
  ];
  const internalPeers = Object.keys(manifest.peerDependencies ?? {}).filter((name) => name.startsWith('@mnops/'));
  return [
    ...wanted.filter(([, holds]) => !holds).map(([text]) => `does not hold: ${text}`),
    ...internalPeers.map((name) => `${name} is a peer; internal packages are dependencies`),
    ...requiredPeers(manifest).map((name) => `peer ${name} is not optional`),
  ];
}

function requiredPeers({ peerDependencies = {}, peerDependenciesMeta = {} }: Manifest): readonly string[] {
  // The API is what an application shares with us, so it is a real peer; SDKs are reached from their own subpath only.
  return Object.keys(peerDependencies).filter(
    (name) => name !== '@opentelemetry/api' && peerDependenciesMeta[name]?.optional !== true,
  );
}

function exportProblems(root: string, { folder, manifest }: Workspace): readonly string[] {
  const problems = Object.entries(manifest.exports ?? {}).flatMap(([subpath, target]): string[] => {
    if (subpath === './package.json') return [];
    const source = field(target, '@mnops/source');
    if (source === undefined) return [`${subpath} has no @mnops/source`];
    if (Object.keys(target as object).join() !== '@mnops/source,import,require') {
      return [`${subpath}: the order is @mnops/source, import, require`];
    }
    return existsSync(join(root, folder, source)) ? [] : [`${subpath} points at ${source}, which does not exist`];
  });
  const hasManifest = field(manifest.exports, './package.json') !== undefined;
  return hasManifest ? problems : [...problems, './package.json is not exported'];
}

/** A provider folder is a subpath (or exported by the root) and is held to a contract suite by a test in it. */
function providerFindings({ folder, manifest, files }: Workspace): readonly Finding[] {
  const providers = new Set(
    files.flatMap(({ path }) => new RegExp(`^${folder}/src/providers/([^/]+)/`).exec(path)?.[1] ?? []),
  );
  const sources = new Set(Object.values(manifest.exports ?? {}).map((target) => field(target, '@mnops/source')));
  const rootText = files.find(({ path }) => path === `${folder}/src/index.ts`)?.text ?? '';
  return [...providers].flatMap((id): Finding[] => {
    const path = `${folder}/src/providers/${id}`;
    const isExported = sources.has(`./src/providers/${id}/index.ts`) || rootText.includes(`./providers/${id}/`);
    const isTested = files.some(
      (file) => file.path.startsWith(`${path}/`) && file.path.endsWith('.test.ts') && /\b\w+Contract\(/.test(file.text),
    );
    return [
      ...(isExported ? [] : [{ rule: 'provider', path, text: 'is neither a subpath export nor exported by the root' }]),
      ...(isTested ? [] : [{ rule: 'provider', path, text: 'no test in it calls a contract suite' }]),
    ];
  });
}

/** Loads each runtime dependency as CommonJS, with the loading of ES modules by `require` switched off. */
function loadProblems(root: string, { folder, manifest }: Workspace): readonly string[] {
  const names = Object.keys(manifest.dependencies ?? {}).filter((name) => !name.startsWith('@mnops/'));
  if (names.length === 0) return [];
  const script = `for (const name of ${JSON.stringify(names)}) {
    try { require(name); } catch (error) { console.log(name + ' does not load as CommonJS: ' + (error.code ?? error.message)); }
  }`;
  const { stdout } = spawnSync(process.execPath, ['--no-experimental-require-module', '-e', script], {
    cwd: join(root, folder),
    encoding: 'utf8',
    env: { ...process.env, NODE_OPTIONS: '' },
  });
  return stdout.split('\n').filter((text) => text !== '');
}

function field(value: unknown, name: string): string | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  return (value as Record<string, string | undefined>)[name];
}
