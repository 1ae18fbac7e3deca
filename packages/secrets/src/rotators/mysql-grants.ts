import { coreError } from '@mnops/core';
import type { Login } from './login.js';
import { mysqlLiteral } from './mysql-literal.js';

/** Whose grants are copied to whom. */
export interface GrantCopy {
  readonly old: Login;
  readonly next: Login;
  readonly accountHost: string;
}

/**
 * The answers of `SHOW GRANTS` for one account as statements for another.
 *
 * @throws {MnopsError} `MNOPS_CORE_RESPONSE_INVALID` for a line that is not understood: a right is not left out unseen.
 */
export function grantsFor(lines: readonly string[], { old, next, accountHost }: GrantCopy): string[] {
  const target = `${mysqlLiteral(next.user)}@${mysqlLiteral(accountHost)}`;
  return lines.map((line) => {
    for (const quote of ['`', "'"] as const) {
      const account = `${quoted(old.user, quote)}@${quoted(accountHost, quote)}`;
      // The last one: the name of a database may hold anything, but it stands before.
      for (const word of [' TO ', ' FOR ']) {
        const at = line.lastIndexOf(`${word}${account}`);
        if (at === -1 || !/^(?:GRANT|SET DEFAULT ROLE) /.test(line)) continue;
        const rest = line
          .slice(at + word.length + account.length)
          .replace(/^ IDENTIFIED (?:BY PASSWORD|VIA) .*?'(?= |$)/, '');
        if (!/^(?: REQUIRE [A-Z0-9]+| WITH [A-Z0-9_. ]+)*$/.test(rest)) break;
        return `${line.slice(0, at)}${word}${target}${rest}`;
      }
    }
    throw coreError('MNOPS_CORE_RESPONSE_INVALID', `mysql-user: a grant of ${old.user} is not understood.`, {
      provider: 'mysql-user',
      remedy: `Create the user ${next.user} with the rights of ${old.user} by hand, or rotate with single-user.`,
      details: { user: old.user, grant: line.split(' TO ', 1)[0]?.slice(0, 200) ?? '' },
    });
  });
}

/** What `SHOW CREATE USER` says about encryption, for `CREATE USER`. */
export function requirementOf(statement: string): string {
  const found = / REQUIRE (SSL|X509)\b/.exec(statement.replaceAll(/'(?:[^'\\]|\\.|'')*'/g, "''"))?.[1];
  return found === undefined ? '' : ` REQUIRE ${found}`;
}

function quoted(name: string, quote: '`' | "'"): string {
  const escaped = quote === '`' ? name.replaceAll('`', '``') : name.replaceAll(/[\\']/g, '\\$&');
  return `${quote}${escaped}${quote}`;
}
