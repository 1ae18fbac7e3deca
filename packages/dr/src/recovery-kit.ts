import type { ResolvedConfig } from './config.js';
import type { Repository } from './repository/repository.js';

/** What somebody needs on the worst day, without this package and without the key in it. */
export function recoveryKitText(repository: Repository, { service, sources }: ResolvedConfig, host: string): string {
  const { path } = repository.folder;
  const ids = [...sources.keys()];
  return `RECOVERY KIT for ${service.name}

Repository   ${path} (on ${host})
Repository   id ${repository.config?.id ?? 'unknown: its config file is damaged'}
Key file     ${repository.keyId}
Sources      ${ids.join(', ') || 'none configured'}
Passphrase   not in this kit. Keep it apart from the repository; without it the backups cannot be read.

With MNOps
  new DisasterRecoveryManager({ key, sources: [], repository: { folder: '${path}' } })
    .restore({ target: { folder: './restored' } })

With restic 0.14 or later, on any machine that reaches the folder
  1. export RESTIC_REPOSITORY='${path}'
  2. export RESTIC_PASSWORD='...'           the passphrase
  3. restic snapshots
  4. restic restore latest --target ./restored
  5. cd ./restored && sha256sum --check --quiet .mnops/SHA256SUMS

Each source is a folder of its own name in what is restored.
If restic says that config or a key file is damaged, copy mnops/config over config, or mnops/keys/ID over keys/ID.
`;
}
