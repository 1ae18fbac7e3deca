export { codes, type OrchestrationErrorCode } from './codes.js';
