/** What is wrong with a repository. */
export interface RepositoryFinding {
  readonly kind: 'config' | 'key' | 'index' | 'pack' | 'blob' | 'snapshot' | 'tree' | 'lock';
  /** `error`: something is lost or in danger. `warning`: a copy was whole, or nothing depends on it. */
  readonly severity: 'warning' | 'error';
  /** File inside the repository, or the id of a blob. */
  readonly object: string;
  /** Sentence for a person. */
  readonly message: string;
  readonly remedy: string;
}
