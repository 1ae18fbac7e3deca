/** Kinds of spans, in the order of their numbers in OpenTelemetry's API: `internal` is 0. */
export const spanKinds: readonly ['internal', 'server', 'client', 'producer', 'consumer'] = [
  'internal',
  'server',
  'client',
  'producer',
  'consumer',
];

/** What an operation may be: a kind of span, or a metric that was recorded. */
export const operationKinds: readonly [...typeof spanKinds, 'metric'] = [...spanKinds, 'metric'];
