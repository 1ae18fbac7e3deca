export { type NewRelicOptions, newRelic } from './exporter.js';
