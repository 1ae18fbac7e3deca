import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runProgram } from './program.js';

/** Version that the tests are written against. */
export const kubernetesVersion = '1.34.4';

/** Where each command of the control plane is made. A further one is a line here. */
const commands = {
  'kube-apiserver': { app: 'kube-apiserver', maker: 'NewAPIServerCommand' },
} as const;

/** A command of the control plane that can be built. */
export type KubernetesCommand = keyof typeof commands;

const environment = { CGO_ENABLED: '0', GOFLAGS: '-mod=mod' };

/** Builds commands of the control plane into a folder; Go's own caches make a second build short. */
export async function buildKubernetes(
  folder: string,
  wanted: readonly KubernetesCommand[],
  progress: (text: string) => void,
): Promise<void> {
  const source = join(folder, 'source');
  mkdirSync(source, { recursive: true });
  writeFileSync(join(source, 'go.mod'), 'module mnops.test/kubernetes\n');
  progress(`go mod download k8s.io/kubernetes@v${kubernetesVersion}`);
  const downloaded = await go(source, ['mod', 'download', '-json', `k8s.io/kubernetes@v${kubernetesVersion}`]);
  const { GoMod } = JSON.parse(downloaded) as { readonly GoMod: string };
  writeFileSync(join(source, 'go.mod'), ownModule(readFileSync(GoMod, 'utf8')));
  for (const command of wanted) {
    mkdirSync(join(source, 'cmd', command), { recursive: true });
    writeFileSync(join(source, 'cmd', command, 'main.go'), mainProgram(command));
  }
  progress('go mod tidy (downloads some 200 modules)');
  await go(source, ['mod', 'tidy']);
  for (const command of wanted) {
    progress(`go build ${command} (some minutes the first time)`);
    const output = join(folder, `${command}.new`);
    await go(source, ['build', '-p', '2', '-trimpath', '-ldflags', linkFlags(), '-o', output, `./cmd/${command}`]);
    renameSync(output, join(folder, command));
  }
}

/** The staging modules lie in folders of the repository there; outside of it each has a version of its own. */
function ownModule(theirs: string): string {
  const goVersion = /^go (\S+)/m.exec(theirs)?.[1] ?? '1.24.0';
  const staged = [...theirs.matchAll(/^\s*(?:replace\s+)?(k8s\.io\/\S+) => \.\/staging\/src\/\S+/gm)];
  const replaced = staged.map(([, name]) => `\t${name} => ${name} v${kubernetesVersion.replace(/^1\./, '0.')}`);
  return [
    'module mnops.test/kubernetes',
    `go ${goVersion}`,
    `require k8s.io/kubernetes v${kubernetesVersion}`,
    `replace (\n${replaced.join('\n')}\n)\n`,
  ].join('\n\n');
}

function mainProgram(command: KubernetesCommand): string {
  const { app, maker } = commands[command];
  return [
    'package main',
    `import (\n\t"os"\n\n\t"k8s.io/component-base/cli"\n\t"k8s.io/kubernetes/cmd/${app}/app"\n)`,
    `func main() {\n\tos.Exit(cli.Run(app.${maker}()))\n}\n`,
  ].join('\n\n');
}

/** Without these kubectl cannot read the server's version. */
function linkFlags(): string {
  const [major, minor] = kubernetesVersion.split('.');
  const facts = { gitVersion: `v${kubernetesVersion}`, gitMajor: major, gitMinor: minor };
  const set = Object.entries(facts).map(([name, value]) => `-X k8s.io/component-base/version.${name}=${value}`);
  return ['-s', '-w', ...set].join(' ');
}

async function go(folder: string, args: readonly string[]): Promise<string> {
  const options = { cwd: folder, env: environment, timeoutMs: 3_600_000 };
  const { code, stdout, stderr } = await runProgram('nice', ['-n', '19', 'go', ...args], options);
  if (code !== 0) throw new Error(`go ${args.join(' ')} failed (${code}):\n${stderr.slice(-4_000)}`);
  return stdout;
}
