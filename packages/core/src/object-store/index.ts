export { type FolderStoreOptions, folderStore } from './folder-store.js';
export { type MemoryStoreOptions, memoryStore } from './memory-store.js';
export { type RetryingOptions, retrying } from './retrying.js';
