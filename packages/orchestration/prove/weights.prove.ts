import { createServer, get } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Campaign, defineCampaign } from '@mnops/tooling/prove';
import { ServiceProxy } from '../src/proxy/index.js';

const campaign: Campaign = defineCampaign({
  package: 'orchestration',
  suite: 'weights',
  bar: 'B7',
  name: 'weights 0 to 100: any 100 requests in a row hold exactly the weight',
  goal: '0 windows that differ',
  defaultCount: 101,
  shortCount: 5,
  async run({ count, fail, progress }) {
    const proxy = new ServiceProxy();
    const { port } = await proxy.open('web');
    const servers = ['old', 'new'].map((name) => createServer((_request, response) => response.end(name)));
    for (const [index, server] of servers.entries()) {
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const revision = index === 0 ? 'old' : 'new';
      proxy.addTarget('web', { instance: revision, revision, port: (server.address() as AddressInfo).port });
    }
    const ask = (): Promise<string> =>
      new Promise((resolve, reject) => {
        get({ port, host: '127.0.0.1' }, (response) => {
          let body = '';
          response.on('data', (chunk) => {
            body += chunk;
          });
          response.on('end', () => resolve(body));
        }).on('error', reject);
      });
    try {
      for (let trial = 0; trial < count; trial += 1) {
        const weight = Math.round((trial * 100) / Math.max(1, count - 1));
        proxy.setShares('web', { by: 'weight', weights: { old: 100 - weight, new: weight } });
        const answers: string[] = [];
        for (let index = 0; index < 150; index += 1) answers.push(await ask());
        for (let start = 0; start <= 50; start += 1) {
          const seen = answers.slice(start, start + 100).filter((body) => body === 'new').length;
          if (seen === weight) continue;
          fail(`weight ${weight}: ${seen} of 100 from request ${start}`);
          break;
        }
        progress(trial + 1);
      }
    } finally {
      await proxy.stop({ graceMs: 0 });
      for (const server of servers) server.close();
    }
  },
});
export default campaign;
