import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type Server } from 'node:http';
import type { PerformanceMonitoringManager } from '../performance-monitoring-manager.js';

/** A call that the service is asked to make. */
interface Callback {
  readonly url: string;
  readonly arguments: unknown;
}

const maxBodyBytes = 1_048_576;

/**
 * The service that a harness for W3C Trace Context talks to: it takes a list of `{ url, arguments }` by POST and sends
 * each `arguments` to its `url`, with the trace context that came in passed on.
 */
export function w3cService(apm: Pick<PerformanceMonitoringManager, 'trace' | 'inject'>): Server {
  return createServer(async (incoming, answer) => {
    // Two headers of one name must be seen as two, which `headers` hides.
    const parent = incoming.headersDistinct;
    answer.statusCode = await apm.trace('POST /test', { kind: 'server', parent }, async () => {
      try {
        const callbacks = JSON.parse(await bodyOf(incoming)) as readonly Callback[];
        await Promise.all(callbacks.map((callback) => call(apm, callback)));
        return 200;
      } catch {
        return 500;
      }
    });
    answer.end();
  });
}

async function call(
  apm: Pick<PerformanceMonitoringManager, 'trace' | 'inject'>,
  { url, arguments: body }: Callback,
): Promise<void> {
  await apm.trace('POST', { kind: 'client' }, async () => {
    const headers: Record<string, string> = { 'content-type': 'application/json' };
    apm.inject(headers);
    const sent = request(url, { method: 'POST', headers });
    sent.end(JSON.stringify(body));
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    response.resume();
    await once(response, 'end');
  });
}

async function bodyOf(incoming: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBodyBytes) throw new RangeError('The body is too long.');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
