import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ServiceProxy } from '@mnops/orchestration/proxy';

const servers = ['old', 'new'].map((name) => createServer((_request, response) => response.end(name)));
for (const server of servers) await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
const [oldPort, newPort] = servers.map((server) => (server.address() as AddressInfo).port) as [number, number];

// #region proxy

const proxy = new ServiceProxy();
const { url } = await proxy.open('search', { port: 0 });
proxy.addTarget('search', { instance: 'search-1', revision: 'old', port: oldPort });
proxy.addTarget('search', { instance: 'search-2', revision: 'new', port: newPort });
proxy.setShares('search', { by: 'weight', weights: { old: 90, new: 10 } });

const answers: string[] = [];
for (let count = 0; count < 100; count += 1) answers.push(await (await fetch(url)).text());
assert.equal(answers.filter((answer) => answer === 'new').length, 10);

await proxy.drainTarget('search', 'search-1', 5_000); // what runs is answered, nothing new comes
await proxy.stop();
// #endregion

for (const server of servers) server.close();
