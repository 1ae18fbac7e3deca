export { type FileLeaseOptions, fileLease } from './file-lease.js';
