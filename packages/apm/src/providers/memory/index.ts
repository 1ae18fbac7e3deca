export { type MemoryExporter, type MemoryExporterOptions, memoryExporter } from './exporter.js';
