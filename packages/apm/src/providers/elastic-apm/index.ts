export { type ElasticApmOptions, elasticApm } from './exporter.js';
