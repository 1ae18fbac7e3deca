import { createPublicKey } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { verifyAuditFolder } from '@mnops/core/audit';
import type { HealthSource } from '@mnops/core/spi';
import { DisasterRecoveryManager, files } from '@mnops/dr';
import { type Campaign, defineCampaign } from '@mnops/tooling/prove';
import { discard, passphrase, scratch } from './repository-kit.js';

const always: HealthSource = {
  specVersion: 1,
  kind: 'health-source',
  id: 'always',
  check: async () => ({ status: 'healthy', reasons: [], atMs: 0 }),
};

const campaign: Campaign = defineCampaign({
  package: 'dr',
  suite: 'evidence',
  bar: '16',
  name: 'edits of the evidence',
  goal: 'every changed byte is found',
  defaultCount: 500,
  async run({ count, random, fail, progress }) {
    const base = scratch();
    try {
      mkdirSync(join(base, 'data'));
      writeFileSync(join(base, 'data', 'a'), 'a');
      const dr = new DisasterRecoveryManager({
        service: 'campaign',
        key: passphrase,
        sources: [files(join(base, 'data'))],
        folder: join(base, 'dr'),
      });
      await dr.backup();
      for (let run = 0; run < 3; run++) await dr.drill({ ready: always });
      await dr.stop();
      const audit = join(base, 'dr', 'audit');
      const publicKey = createPublicKey(readFileSync(join(base, 'dr', 'evidence-key.pub.pem')));
      if (!(await verifyAuditFolder(audit, { publicKey })).intact) fail('the untouched chain is not intact');
      const chain = readdirSync(audit, { recursive: true, encoding: 'utf8' })
        .map((name) => join(audit, name))
        .filter((path) => statSync(path).isFile())
        .sort((a, b) => statSync(b).size - statSync(a).size)[0];
      const whole = readFileSync(chain ?? '');
      for (let trial = 0; trial < count; trial++) {
        const offset = Math.floor(random() * whole.length);
        const bytes = Buffer.from(whole);
        bytes[offset] = (bytes[offset] ?? 0) ^ (1 << Math.floor(random() * 8));
        writeFileSync(chain ?? '', bytes);
        if ((await verifyAuditFolder(audit, { publicKey })).intact) fail(`byte ${offset} changed and was not found`);
        progress(trial + 1);
      }
    } finally {
      discard(base);
    }
  },
});

export default campaign;
