// Keep-alive load over plain sockets, cheap enough to leave a core to what is measured: `load-process.ts <port> <clients> <requests> <pause between requests, ms>`.
import { connect } from 'node:net';

const [port = '0', clients = '32', requests = '10000', pauseMs = '0'] = process.argv.slice(2);
const wanted = Number(requests);
const request = `GET /bench HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\nuser-agent: bench\r\naccept: */*\r\n\r\n`;
const latencies: number[] = [];
let sent = 0;
let answered = 0;
let failed = 0;
const startedAt = performance.now();

function client(): void {
  const socket = connect({ port: Number(port), host: '127.0.0.1', noDelay: true });
  let begun = 0;
  let left = -1;
  const next = (): void => {
    if (sent >= wanted) {
      socket.end();
      return;
    }
    sent += 1;
    left = -1;
    begun = performance.now();
    socket.write(request, 'latin1');
  };
  socket.on('connect', next);
  socket.on('error', () => {
    failed += 1;
  });
  socket.on('data', (chunk: Buffer) => {
    let size = chunk.length;
    if (left < 0) {
      const end = chunk.indexOf('\r\n\r\n');
      const head = chunk.toString('latin1', 0, end);
      if (!head.startsWith('HTTP/1.1 200')) failed += 1;
      left = Number(/content-length: (\d+)/i.exec(head)?.[1]);
      size -= end + 4;
    }
    left -= size;
    if (left > 0) return;
    answered += 1;
    latencies.push(performance.now() - begun);
    if (answered === wanted) finish();
    else if (pauseMs === '0') next();
    else setTimeout(next, Number(pauseMs));
  });
}

function finish(): void {
  latencies.sort((left, right) => left - right);
  const at = (share: number): number => latencies[Math.floor(share * (latencies.length - 1))] ?? 0;
  const wallMs = performance.now() - startedAt;
  process.stdout.write(`${JSON.stringify({ answered, failed, wallMs, p50Ms: at(0.5), p99Ms: at(0.99) })}\n`);
}

for (let index = 0; index < Number(clients); index += 1) client();
