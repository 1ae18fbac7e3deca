import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { callOf } from '@mnops/core';
import { hashicorpVault } from '@mnops/secrets/vault';
import { type BenchSuite, defineBench } from '@mnops/tooling/bench';
import nodeVault from 'node-vault';

const reads = 1_500;
const rounds = 6;

/** A server in a process of its own, so that only the client's time is counted. */
const serverScript = `
const metadata = { version: 1, created_time: '2026-01-01T00:00:00Z', deletion_time: '', destroyed: false, custom_metadata: null };
const body = JSON.stringify({ data: { data: { value: 'x'.repeat(200) }, metadata } });
const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
require('node:http').createServer((_, answer) => answer.writeHead(200, headers).end(body))
  .listen(0, '127.0.0.1', function () { console.log(this.address().port); });
`;

async function microsPerRead(read: () => Promise<unknown>): Promise<number> {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < rounds; round += 1) {
    const before = process.cpuUsage();
    for (let index = 0; index < reads; index += 1) await read();
    const { user, system } = process.cpuUsage(before);
    best = Math.min(best, (user + system) / reads);
  }
  return best;
}

const suite: BenchSuite = defineBench({
  package: 'secrets',
  suite: 'vault',
  async run({ compare }) {
    const server = spawn(process.execPath, ['-e', serverScript], { stdio: ['ignore', 'pipe', 'inherit'] });
    try {
      const [port] = (await once(server.stdout, 'data')) as [Buffer];
      const address = `http://127.0.0.1:${Number(port.toString())}`;
      const provider = hashicorpVault({ address, auth: { token: 'bench' } });
      const stock = nodeVault({ endpoint: address, token: 'bench' });
      const call = callOf();
      await compare({
        bar: 'B9',
        name: 'uncached read, KV version 2, over loopback',
        unit: 'us CPU',
        kind: 'cost',
        goal: 2.5,
        ours: () => microsPerRead(() => provider.get('a', {}, call)),
        peer: 'node-vault 0.12',
        theirs: () => microsPerRead(() => stock.read('secret/data/a')),
        runs: 1,
      });
      await provider.close?.(call);
      call.end();
    } finally {
      server.kill();
    }
  },
});

export default suite;
