import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { type BenchSuite, defineBench } from '@mnops/tooling/bench';

interface Import {
  readonly cpuMs: number;
  readonly rssMiB: number;
}

const folder = fileURLToPath(new URL('..', import.meta.url));

/** What a fresh process spends on importing a package, as a user's program would. */
function importOf(name: string): Import {
  const script = `
    const cpu = process.cpuUsage(), rss = process.memoryUsage().rss;
    await import(${JSON.stringify(name)});
    const { user, system } = process.cpuUsage(cpu);
    console.log(JSON.stringify({ cpuMs: (user + system) / 1000, rssMiB: (process.memoryUsage().rss - rss) / 2 ** 20 }));`;
  const given = ['--input-type=module', '-e', script];
  return JSON.parse(execFileSync(process.execPath, given, { cwd: folder, encoding: 'utf8' })) as Import;
}

const suite: BenchSuite = defineBench({
  package: 'secrets',
  suite: 'imports',
  async run({ compare, limit }) {
    const beside = async (ours: string, peer: string, version: string, goal: number): Promise<void> => {
      await compare({
        bar: 'B10',
        name: `import '${ours}'`,
        unit: 'ms CPU',
        kind: 'cost',
        goal,
        ours: () => importOf(ours).cpuMs,
        peer: `${peer} ${version}`,
        theirs: () => importOf(peer).cpuMs,
        runs: 15,
      });
    };
    await beside('@mnops/secrets', '@aws-lambda-powertools/parameters/secrets', '2.35', 8);
    await beside('@mnops/secrets/gcp', '@google-cloud/secret-manager', '6.3', 4);
    await beside('@mnops/secrets/azure', '@azure/keyvault-secrets', '4.11', 4);
    await beside('@mnops/secrets/kubernetes', '@kubernetes/client-node', '1.4', 4);
    const root = { bar: 'B10', runs: 15 };
    await limit({
      ...root,
      name: "import '@mnops/secrets'",
      unit: 'ms CPU',
      limit: 60,
      measure: () => importOf('@mnops/secrets').cpuMs,
    });
    await limit({
      ...root,
      name: "import '@mnops/secrets', resident memory",
      unit: 'MiB',
      limit: 5,
      measure: () => importOf('@mnops/secrets').rssMiB,
    });
  },
});

export default suite;
