/** What the command prints as its help. */
export const usage = `mnops-secrets: the secrets of a service, from a terminal or a script

  mnops-secrets [options] <command>

  get <path>                 facts of a secret; with --reveal its value
  put <path>                 stores a value from standard input, --from-file, or a hidden prompt
  list [prefix]              paths with version and expiry
  versions <path>            every version of a secret
  rollback <path>            the version before, or --to-version, as a new one
  delete <path>              deletes; --permanent for good
  restore <path>             undoes a delete
  rotate <path>              rotates as the configuration says; --resume goes on with what was cut off
  import <file>              dotenv, JSON or YAML, by the file's name or --format; - is standard input
  export [prefix]            the values as one text, with --reveal only
  audit verify               checks the audit log
  audit list                 its entries
  scan <folder>              looks for secrets in files
  rewrap                     wraps the vault with the key of --to-key-file or --to-passphrase-file

Options
  --config <file>            a module whose default export is a SecretsManager or its options
  --folder <folder>          folder of the vault; default .mnops/secrets
  --key-file <file>          key of the vault; default the one in the user's configuration folder
  --passphrase-file <file>   passphrase of the vault instead of a key; - asks on the terminal
  --actor <name>             acts as this actor
  --version-id <id>          the version to get
  --stage <name>             the stage to get or to put
  --expires-at <date>        when what is put expires
  --prefix <path>            where import puts things
  --format <format>          dotenv, json or yaml
  --dry-run                  import: only say what would be done
  --reveal                   show values
  --json                     answer in JSON
  --help, --version

A value is never taken from the command line, where every user of the machine can read it.

Exit codes: 0 done · 1 failed · 2 wrong usage or configuration · 3 not found · 4 denied or not signed in
  5 conflict · 6 back end away, slow or throttling · 7 not intact · 8 sealed: no key or a wrong one · 9 scan found something
`;
