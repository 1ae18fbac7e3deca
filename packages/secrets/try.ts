import { mkdtemp } from 'node:fs/promises';
import { encryptedFile, rawKey, SecretsManager } from './src/index.ts';

const f = await mkdtemp('/tmp/v-');
const key = rawKey(Buffer.alloc(32, 1));
const working = new Set(['one']);
const rotator = {
  specVersion: 1,
  kind: 'rotator',
  id: 't',
  capabilities: { overlap: true },
  async generate() {
    return 'two-' + Math.random();
  },
  async apply(c: any) {
    working.add(c.pending.reveal());
  },
  async verify(c: any) {
    if (!working.has(c.pending.reveal())) throw new Error('no');
  },
  async revoke(c: any) {
    working.delete(c.current.reveal());
  },
} as any;
const s = new SecretsManager({
  provider: encryptedFile({ file: f + '/s.vault', key, reloadIntervalMs: 200 }),
  folder: f,
  rotations: { 'db/orders': { rotator, graceMs: 300 } },
});
await s.start();
await s.put('db/orders', 'one');
const svc = new SecretsManager({ provider: encryptedFile({ file: f + '/s.vault', key, reloadIntervalMs: 200 }) });
const h = svc.handle('db/orders');
await h.ready();
console.log(String(h.current), h.current, (await s.get('db/orders'))?.reveal());
s.on('rotation:advanced', (e) => console.log(e.step, h.accepted.map(String)));
console.log(await s.rotation.rotate('db/orders'));
console.log(await s.rotation.state('db/orders'));
await new Promise((r) => setTimeout(r, 600));
console.log(await s.rotation.state('db/orders'), h.accepted.map(String), working);
for await (const e of s.audit.query()) console.log(e.sequence, e.operation, e.path, e.version, e.outcome, e.cached);
console.log(await s.audit.verify(), s.stats(), await s.health(), s.status);
await s.stop();
await svc.stop();
