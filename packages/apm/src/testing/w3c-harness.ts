import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { type AddressInfo, connect } from 'node:net';

/** Headers of one call that came back, each value by itself. */
export type SeenHeaders = NodeJS.Dict<string[]>;

/** A server that takes what the service under test sends. */
export interface W3cHarness extends AsyncDisposable {
  /** Sends headers as they are, has `calls` calls made, and gives what arrived with them. */
  send(headers: readonly (readonly [string, string])[], calls?: number): Promise<readonly SeenHeaders[]>;
}

/** Talks to a `w3cService` at a port by plain sockets, so that headers arrive exactly as a case has them. */
export async function w3cHarness(port: number): Promise<W3cHarness> {
  const seen = new Map<string, SeenHeaders[]>();
  const receiver = createServer(async (incoming, answer) => {
    const body = JSON.parse(await bodyOf(incoming)) as { run: string };
    seen.get(body.run)?.push(incoming.headersDistinct);
    answer.end('{}');
  }).listen(0, '127.0.0.1');
  await once(receiver, 'listening');
  const url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/`;
  let runs = 0;
  return {
    async send(headers, calls = 1) {
      runs += 1;
      const run = String(runs);
      seen.set(run, []);
      const body = JSON.stringify(Array.from({ length: calls }, () => ({ url, arguments: { run } })));
      const lines = [
        'POST /test HTTP/1.1',
        'host: 127.0.0.1',
        'connection: close',
        `content-length: ${Buffer.byteLength(body)}`,
        ...headers.map(([name, value]) => `${name}: ${value}`),
      ];
      const socket = connect(port, '127.0.0.1');
      socket.write(`${lines.join('\r\n')}\r\n\r\n${body}`);
      let text = '';
      for await (const chunk of socket) text += String(chunk);
      if (!text.startsWith('HTTP/1.1 200')) throw new Error(`The service answered: ${text.slice(0, 200)}`);
      const arrived = seen.get(run) ?? [];
      seen.delete(run);
      return arrived;
    },
    async [Symbol.asyncDispose]() {
      receiver.closeAllConnections();
      receiver.close();
      await once(receiver, 'close');
    },
  };
}

async function bodyOf(incoming: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of incoming) text += String(chunk);
  return text;
}
