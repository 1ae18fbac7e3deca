import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { type Campaign, defineCampaign } from '@mnops/tooling/prove';

const script = fileURLToPath(new URL('./leaking-process.ts', import.meta.url));
const forms = ['object', 'broken JSON', 'bytes'];

/** A value goes through every back end and every call of one process; it must show in no output and no file. */
const campaign: Campaign = defineCampaign({
  package: 'secrets',
  suite: 'leaks',
  bar: 'B13',
  name: 'canary values in outputs and files, over all providers',
  goal: 'in 0 sinks',
  defaultCount: 60,
  shortCount: 3,
  async run({ count, fail, progress }) {
    for (let tried = 0; tried < count; tried += 1) {
      const folder = await mkdtemp(join(tmpdir(), 'mnops-leaks-'));
      const canary = randomBytes(9).toString('hex');
      try {
        const form = forms[tried % forms.length] ?? '';
        for (const problem of await problemsOf(folder, canary, form)) fail(`trial ${tried}, ${form}: ${problem}`);
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
      progress(tried + 1);
    }
  },
});

async function problemsOf(folder: string, canary: string, form: string): Promise<string[]> {
  const child = spawn(process.execPath, ['--conditions=@mnops/source', '--import', 'tsx', script, folder], {
    env: { ...process.env, DEBUG: '*' },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  child.stdin.end(JSON.stringify({ canary, form }));
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  const problems: string[] = [];
  // A trial that ended early would show nothing and prove nothing.
  if (!stdout.includes('every provider was tried')) problems.push(`ended early: ${stderr.slice(-500)}`);
  const texts = new Map([
    ['stdout', stdout],
    ['stderr', stderr],
  ]);
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const file = join(entry.parentPath, entry.name);
    if (entry.isFile()) texts.set(entry.name, await readFile(file, 'latin1'));
  }
  const shapes = [canary, Buffer.from(canary).toString('hex'), ...[0, 1, 2].map((pad) => base64Within(canary, pad))];
  for (const [place, content] of texts) {
    const at = Math.max(...shapes.map((shape) => content.indexOf(shape)));
    if (at >= 0) problems.push(`the canary shows in ${place}, after: ${lineBefore(content, at)}`);
  }
  return problems;
}

/** What a text looks like inside something longer that is encoded as base64, when so many bytes come before it. */
function base64Within(content: string, pad: number): string {
  const encoded = Buffer.concat([Buffer.alloc(pad), Buffer.from(content)]).toString('base64');
  return encoded.slice(pad === 0 ? 0 : 4, -4);
}

function lineBefore(content: string, at: number): string {
  return content.slice(Math.max(0, at - 160), at).replaceAll('\n', ' ');
}

export default campaign;
