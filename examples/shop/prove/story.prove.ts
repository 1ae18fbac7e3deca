import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { defineCampaign } from '@mnops/tooling/prove';

const operator = join(import.meta.dirname, '..', 'dist', 'operator.js');

/** Runs one variant in a folder of its own; the answer is what did not hold. */
async function run(healthy: boolean): Promise<string | undefined> {
  const folder = await mkdtemp(join(tmpdir(), 'mnops-shop-'));
  try {
    const args = [
      operator,
      '--folder',
      join(folder, 'run'),
      '--report',
      join(folder, 'report.html'),
      ...(healthy ? ['--healthy'] : []),
    ];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
    const code = await new Promise((resolve) => child.once('close', resolve));
    if (code === 0) return undefined;
    const lines = output.split('\n').filter((line) => line.includes('✗'));
    return lines.length > 0
      ? lines.map((line) => line.trim()).join(' | ')
      : `exit ${String(code)}: ${output.slice(-500)}`;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

export default defineCampaign({
  package: 'shop',
  suite: 'story',
  bar: 'shop',
  name: 'the whole story, bad release and good release in turn',
  goal: 'every run of both variants right',
  defaultCount: 5,
  shortCount: 1,
  async run({ count, fail, progress }) {
    for (let index = 0; index < count; index++) {
      for (const healthy of [false, true]) {
        const wrong = await run(healthy);
        if (wrong !== undefined) fail(`${healthy ? 'good release' : 'bad release'} ${index + 1}: ${wrong}`);
      }
      progress(index + 1);
    }
  },
});
