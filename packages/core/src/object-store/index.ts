export { type FolderStoreOptions, folderStore } from './folder-store.js';
export { type MemoryStoreOptions, memoryStore } from './memory-store.js';
export { type RetryingOptions, retrying } from './retrying.js';
export type { S3Credentials } from './s3/s3-request.js';
export { type S3StoreOptions, s3Store } from './s3/s3-store.js';
