import { callOf } from '@mnops/core';
import { fakeClock } from '@mnops/core/testing';
import { type Campaign, defineCampaign } from '@mnops/tooling/prove';
import { hashicorpVault } from '../src/providers/vault/index.js';

const hourMs = 3_600_000;
const days = 30;
const metadata = { version: 1, created_time: '2026-01-01T00:00:00Z', deletion_time: '', destroyed: false };

/** A token of 768 h, Vault's default, over 30 days of a clock that is moved by random steps; requests are counted. */
const campaign: Campaign = defineCampaign({
  package: 'secrets',
  suite: 'tokens',
  bar: 'B8',
  name: 'token of 768 h over 30 days',
  goal: 'at most 2 renewals, no other sign-in, no request after close',
  defaultCount: 100,
  shortCount: 4,
  async run({ count, random, fail, progress }) {
    for (let tried = 0; tried < count; tried += 1) {
      const clock = fakeClock();
      const { client, asked } = countingVault();
      const call = callOf();
      const provider = hashicorpVault({ client, auth: { appRole: { roleId: 'r', secretId: 's' } }, clock });
      await provider.get('a', {}, call);
      for (let hours = 0; hours < days * 24; ) {
        const step = Math.min(1 + Math.floor(random() * 48), days * 24 - hours);
        hours += step;
        await clock.advance(step * hourMs);
        await provider.get('a', {}, call);
      }
      const [renewals, logins] = [asked('renew-self'), asked('/login')];
      if (renewals < 1 || renewals > 2) fail(`trial ${tried}: ${renewals} renewals`);
      if (logins !== 1) fail(`trial ${tried}: ${logins} sign-ins`);
      await provider.close?.(call);
      const before = asked('');
      await clock.advance(400 * 24 * hourMs);
      if (asked('') !== before) fail(`trial ${tried}: ${asked('') - before} requests after close`);
      if (clock.pending !== 0) fail(`trial ${tried}: ${clock.pending} timers after close`);
      call.end();
      progress(tried + 1);
    }
  },
});

/** Answers within the turn, as a server would on a clock that is moved by hand: real time must not pass in between. */
function countingVault() {
  const paths: string[] = [];
  const auth = { client_token: 'token', lease_duration: 2_764_800, renewable: true };
  return {
    client: {
      request: async ({ path = '' }: { readonly path?: string }): Promise<unknown> => {
        paths.push(path);
        return path.includes('/auth/') ? { auth } : { data: { data: { value: 'x' }, metadata } };
      },
    },
    asked: (part: string): number => paths.filter((path) => path.includes(part)).length,
  };
}

export default campaign;
