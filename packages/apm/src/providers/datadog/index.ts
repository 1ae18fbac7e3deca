export { type DatadogOptions, datadog } from './exporter.js';
