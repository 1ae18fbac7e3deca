import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { rawKey } from '@mnops/core/crypto';
import { onOperation } from '@mnops/core/operations';
import { type Campaign, defineCampaign } from '@mnops/tooling/prove';
import { encryptedFile, memory, SecretsManager } from '../src/index.js';

/** A value of a random form goes through every call, also failing ones; it must show in no output and no file. */
const campaign: Campaign = defineCampaign({
  package: 'secrets',
  suite: 'leaks',
  bar: 'B13',
  name: 'canary values in outputs and files',
  goal: 'in 0 sinks, over all providers',
  defaultCount: 300,
  shortCount: 6,
  async run({ count, random, fail, progress }) {
    for (let tried = 0; tried < count; tried += 1) {
      const folder = await mkdtemp(join(tmpdir(), 'mnops-leaks-'));
      const canary = randomBytes(9).toString('hex');
      const sinks: unknown[] = [];
      const off = onOperation((event) => sinks.push(event));
      const durable = random() < 0.5;
      const provider = durable ? encryptedFile({ file: join(folder, 'v'), key: rawKey(randomBytes(32)) }) : memory();
      const secrets = new SecretsManager({ provider, ...(durable ? { folder } : {}) });
      const attempt = async (run: () => unknown): Promise<void> => {
        try {
          sinks.push(await run());
        } catch (error) {
          sinks.push(error);
        }
      };
      const value = random() < 0.5 ? { password: canary } : `${canary} {`;
      await attempt(() => secrets.put('a', value));
      await attempt(() => secrets.create('a', value));
      await attempt(() => secrets.get('a'));
      await attempt(async () => (await secrets.getOrThrow('a')).field('none'));
      await attempt(async () => void (await secrets.getOrThrow('a')).json());
      await attempt(() => secrets.put('a', value, { ifVersion: '9' }));
      await attempt(() => secrets.update('a', () => ({ canary: Number.NaN })));
      await attempt(() => secrets.rollback('a', { toVersion: '7' }));
      await attempt(() => secrets.describe('a'));
      await attempt(() => secrets.health());
      sinks.push(secrets);
      const texts = sinks.flatMap((sink) => [
        inspect(sink, { depth: 9, showHidden: true }),
        JSON.stringify(sink) ?? '',
      ]);
      await secrets.stop();
      off();
      for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
        if (entry.isFile()) texts.push(await readFile(join(entry.parentPath, entry.name), 'latin1'));
      }
      if (texts.some((text) => text.includes(canary))) fail(`trial ${tried}: the canary shows`);
      await rm(folder, { recursive: true, force: true });
      progress(tried + 1);
    }
  },
});

export default campaign;
