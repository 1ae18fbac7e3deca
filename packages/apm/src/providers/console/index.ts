export { type ConsoleExporterOptions, consoleExporter } from './exporter.js';
