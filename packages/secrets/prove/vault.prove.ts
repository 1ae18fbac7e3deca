import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { callOf, codeOf } from '@mnops/core';
import { openEnvelope, rawKey, sealEnvelope } from '@mnops/core/crypto';
import { type Campaign, defineCampaign } from '@mnops/tooling/prove';
import { encryptedFile } from '../src/index.js';

const key = rawKey(Buffer.alloc(32, 9));

/** One bit of an envelope is flipped: it must not open. */
const envelope: Campaign = defineCampaign({
  package: 'secrets',
  suite: 'vault',
  bar: 'B12',
  name: 'flipped bits of an envelope',
  goal: '0 accepted',
  defaultCount: 1_000_000,
  shortCount: 5_000,
  async run({ count, random, fail, progress }) {
    const call = callOf();
    const sealed = await sealEnvelope(key, Buffer.from('the value of a secret'), ['prove', 1], call);
    for (let tried = 0; tried < count; tried += 1) {
      const bit = Math.floor(random() * sealed.length * 8);
      const changed = Uint8Array.from(sealed);
      changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7));
      const accepted = await openEnvelope(key, changed, ['prove', 1], call).then(
        () => true,
        () => false,
      );
      if (accepted) fail(`bit ${bit} was not noticed`);
      if (tried % 10_000 === 0) progress(tried);
    }
    progress(count);
    call.end();
  },
});

/** One byte of a vault is changed: it opens, tells no wrong value, and loses at most one record. */
const bytes: Campaign = defineCampaign({
  package: 'secrets',
  suite: 'vault',
  bar: 'B7',
  name: 'changed bytes of a vault',
  goal: 'opens, at most one record lost, no wrong value',
  defaultCount: 5_000,
  shortCount: 100,
  async run({ count, random, fail, progress }) {
    const call = callOf();
    const folder = await mkdtemp(join(tmpdir(), 'mnops-prove-'));
    const file = join(folder, 'secrets.vault');
    const paths = ['a', 'b', 'c', 'd', 'e'];
    const writer = encryptedFile({ file, key });
    for (const path of paths)
      await writer.put(path, Buffer.from(`value ${path}`), { token: path, stages: ['current'] }, call);
    await writer.close?.(call);
    const whole = await readFile(file);
    for (let tried = 0; tried < count; tried += 1) {
      const at = Math.floor(random() * whole.length);
      const damaged = Buffer.from(whole);
      damaged[at] = (damaged[at] as number) ^ (1 + Math.floor(random() * 255));
      await writeFile(file, damaged);
      const reader = encryptedFile({ file, key });
      let lost = 0;
      try {
        for (const path of paths) {
          const stored = await reader.get(path, {}, call);
          if (stored === undefined) lost += 1;
          else if (Buffer.from(stored.value).toString() !== `value ${path}`) fail(`byte ${at}: wrong value`);
        }
        if (lost > 1) fail(`byte ${at}: ${lost} values lost`);
      } catch (error) {
        fail(`byte ${at}: ${codeOf(error)}`);
      } finally {
        await reader.close?.(call);
      }
      if (tried % 100 === 0) progress(tried);
    }
    progress(count);
    call.end();
    await rm(folder, { recursive: true, force: true });
  },
});

const campaigns: readonly Campaign[] = [envelope, bytes];
export default campaigns;
