import { randomBytes } from 'node:crypto';
import { callOf } from '@mnops/core';
import { open, openEnvelope, openStream, rawKey, seal, sealEnvelope, sealStream } from '@mnops/core/crypto';
import { type Campaign, defineCampaign } from '@mnops/tooling/prove';

const campaign: Campaign = defineCampaign({
  package: 'core',
  suite: 'crypto',
  bar: 'C3',
  name: 'envelopes, sealed bytes and streams with flipped, cut, added or exchanged parts',
  goal: '0 accepted',
  defaultCount: 100_000,
  shortCount: 2_000,
  async run({ count, random, fail, progress }) {
    const call = callOf();
    const key = randomBytes(32);
    const wrapper = rawKey(key);
    const below = (limit: number): number => Math.floor(random() * limit);
    const bound = ['store', 'path', 7] as const;
    const make = async () => {
      const plaintext = randomBytes(below(200));
      const stream: Uint8Array[] = [];
      for await (const piece of sealStream(key, bound)([plaintext])) stream.push(piece);
      return [await sealEnvelope(wrapper, plaintext, bound, call), seal(key, plaintext, bound), Buffer.concat(stream)];
    };
    const openers = [
      (bytes: Uint8Array) => openEnvelope(wrapper, bytes, bound, call),
      async (bytes: Uint8Array) => open(key, bytes, bound),
      async (bytes: Uint8Array) => {
        for await (const _ of openStream(key, bound)([bytes]));
      },
    ] as const;
    for (let done = 0; done < count; done += 1) {
      const [one, two] = [await make(), await make()];
      const which = done % 3;
      const changed = change(one[which] as Uint8Array, two[which] as Uint8Array, below);
      progress(done + 1);
      // A stretch of the other one may have been the same, or all of it.
      if ([one, two].some((made) => Buffer.compare(changed, made[which] as Uint8Array) === 0)) continue;
      const accepted = await openers[which as 0 | 1 | 2](changed).then(
        () => true,
        () => false,
      );
      if (accepted) fail(`trial ${done}: form ${which} was accepted after a change`);
    }
  },
});

/** The first with a flipped bit, a cut, something added, or a stretch of the second. */
function change(first: Uint8Array, second: Uint8Array, below: (limit: number) => number): Uint8Array {
  const bytes = Buffer.from(first);
  const at = below(bytes.length);
  switch (below(5)) {
    case 0:
      return bytes.subarray(0, at);
    case 1:
      return Buffer.concat([bytes, randomBytes(1 + below(20))]);
    case 2:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(Math.min(bytes.length, at + 1 + below(20)))]);
    case 3:
      bytes.set(second.subarray(at, Math.min(second.length, bytes.length, at + 1 + below(60))), at);
      return bytes;
    default:
      bytes[at] = (bytes[at] as number) ^ (1 << below(8));
      return bytes;
  }
}

export default campaign;
