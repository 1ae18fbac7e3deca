/** Names of the header formats, as `OTEL_PROPAGATORS` has them where it has them. */
export const propagatorNames = ['tracecontext', 'baggage', 'b3', 'b3multi', 'jaeger', 'xray', 'datadog'] as const;

/** A header format: W3C (`tracecontext`, `baggage`), B3 in one header or several, Jaeger, AWS X-Ray, Datadog. */
export type PropagatorName = (typeof propagatorNames)[number];
