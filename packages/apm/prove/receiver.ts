import { otlpHandler } from '../src/providers/otlp/handler.js';
import { type ReopeningServer, reopeningServer } from '../src/testing/reopening-server.js';

/** A receiver of OTLP that counts; while it is down, its port refuses connections. */
export interface CountingReceiver extends ReopeningServer {
  /** How often each span came, by its id. */
  readonly seen: ReadonlyMap<string, number>;
  /** Names of spans that are not as they were made: those not beginning with `work`. */
  readonly wrong: readonly string[];
}

/** Finds a free port of loopback; `up()` begins to listen there. */
export async function countingReceiver(): Promise<CountingReceiver> {
  const seen = new Map<string, number>();
  const wrong: string[] = [];
  const handler = otlpHandler({
    ingest: async (spans) => {
      for (const { spanId, name, attributes } of spans) {
        seen.set(spanId, (seen.get(spanId) ?? 0) + 1);
        if (name !== `work ${attributes['index']}`) wrong.push(name);
      }
      return { rejected: 0, reasons: [] };
    },
  });
  return { ...(await reopeningServer(handler)), seen, wrong };
}
