export type { AuditEntry, AuditEvent, AuditRecord, AuditSink } from '../spi/audit.js';
export { type AuditAppendOptions, type AuditLog, type OpenAuditLogOptions, openAuditLog } from './audit-log.js';
export type { AuditCheckpoint } from './checkpoint.js';
export { type AuditOptions, auditEntries, auditSchema } from './options.js';
export type { AuditQuery } from './query.js';
export {
  type AuditChain,
  type AuditFinding,
  type AuditFindingKind,
  type AuditVerification,
  type AuditVerifyOptions,
  verifyAuditFolder,
  verifyAuditLines,
} from './verify.js';
