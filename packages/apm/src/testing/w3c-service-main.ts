import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { PerformanceMonitoringManager } from '../performance-monitoring-manager.js';
import { w3cService } from './w3c-service.js';

// `npm run w3c-service -- --port P` for a harness in another process.
const { values } = parseArgs({ options: { port: { type: 'string', default: '7777' } } });
const apm = new PerformanceMonitoringManager({ service: 'w3c-service' });
await apm.start();
const server = w3cService(apm).listen(Number(values.port), '127.0.0.1');
await once(server, 'listening');
console.log(`POST http://127.0.0.1:${values.port}/test`);
