export { type OtlpOptions, otlp } from './exporter.js';
export { type OtlpHandlerOptions, otlpHandler, type SpanIntake } from './handler.js';
