import { createRequire } from 'node:module';

/** The parts of the peer's sketch that tests and benches use; its own declarations do not compile without `protobufjs`. */
export interface PeerSketch {
  accept(value: number): void;
  merge(other: PeerSketch): void;
  getValueAtQuantile(q: number): number;
}

/** The sketch of `@datadog/sketches-js`. */
export function peerSketch(relativeAccuracy: number): PeerSketch {
  const require = createRequire(import.meta.url);
  const { DDSketch } = require('@datadog/sketches-js') as {
    readonly DDSketch: new (options: { readonly relativeAccuracy: number }) => PeerSketch;
  };
  return new DDSketch({ relativeAccuracy });
}
