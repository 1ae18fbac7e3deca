// One proxy in front of a port: `proxy-process.ts <mnops | http-proxy> <port>`. Says its port, then its CPU time for each line it reads.
import { Agent, createServer } from 'node:http';

const [kind, backend = '0'] = process.argv.slice(2);

async function listen(): Promise<number> {
  if (kind === 'mnops') {
    const { ServiceProxy } = await import('@mnops/orchestration/proxy');
    const proxy = new ServiceProxy();
    const { port } = await proxy.open('bench');
    proxy.setShares('bench', { by: 'weight', weights: { one: 100 } });
    proxy.addTarget('bench', { instance: 'bench-1', revision: 'one', port: Number(backend) });
    return port;
  }
  const { default: httpProxy } = await import('http-proxy');
  const proxy = httpProxy.createProxyServer({
    target: `http://127.0.0.1:${backend}`,
    agent: new Agent({ keepAlive: true, maxSockets: 256 }),
    xfwd: true,
  });
  proxy.on('error', (_error, _request, response) => {
    if ('writeHead' in response) response.writeHead(502);
    response.end();
  });
  const server = createServer((request, response) => proxy.web(request, response));
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : 0);
    });
  });
}

process.stdout.write(`${await listen()}\n`);
process.stdin.on('data', () => {
  const { user, system } = process.cpuUsage();
  process.stdout.write(`${(user + system) / 1_000} ${user / 1_000}\n`);
});
process.stdin.on('end', () => process.exit(0));
