export { type JaegerOptions, jaeger } from './exporter.js';
