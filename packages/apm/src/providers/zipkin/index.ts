export { type ZipkinOptions, zipkin } from './exporter.js';
