/** A text in quotes, for a session whose `sql_mode` is empty. */
export function mysqlLiteral(text: string): string {
  return `'${text.replaceAll(/[\\']/g, '\\$&')}'`;
}
