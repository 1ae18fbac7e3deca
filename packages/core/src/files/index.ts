export {
  type EnsureFolderOptions,
  ensureFolder,
  type WriteFileAtomicOptions,
  writeFileAtomic,
  writeFileOnce,
} from './atomic.js';
export { acquireFileLock, type FileLock, type FileLockOptions, type LockOwner } from './file-lock.js';
export { type ProcessIdentity, processIdentity } from './process-identity.js';
export {
  type AppendOptions,
  type AppendResult,
  type LogRecord,
  openRecordLog,
  type RecordLog,
  type RecordLogOptions,
} from './record-log.js';
