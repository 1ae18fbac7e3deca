import { createServer } from 'node:net';
import { orchestrationError } from '../../orchestration-error.js';

/** Hands out loopback ports that nothing listens on. */
export interface PortAllocator {
  take(): Promise<number>;
  release(port: number): void;
  /** Keeps a port that is known to be in use from being handed out. */
  reserve(port: number): void;
}

/** @param range - First and last port. Below the range that the system takes client ports from, so that none is lost to an outgoing connection. */
export function portAllocator(range: readonly [number, number], random: () => number = Math.random): PortAllocator {
  const [first, last] = range;
  const size = last - first + 1;
  const taken = new Set<number>();
  let next = Math.floor(random() * size);
  return {
    async take() {
      for (let step = 0; step < size; step += 1) {
        const port = first + next;
        next = (next + 1) % size;
        if (taken.has(port)) continue;
        taken.add(port);
        if (await isFree(port)) return port;
        taken.delete(port);
      }
      throw orchestrationError('MNOPS_ORCHESTRATION_PORT_UNAVAILABLE', `No port from ${first} to ${last} is free.`, {
        details: { range },
        remedy: 'Give local({ portRange }) a range with free ports.',
      });
    },
    release: (port) => void taken.delete(port),
    reserve: (port) => void taken.add(port),
  };
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)));
  });
}
