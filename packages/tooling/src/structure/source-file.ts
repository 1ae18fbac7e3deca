import ts from 'typescript';

/** One import, export-from or `import()` of a file. */
export interface SourceImport {
  readonly specifier: string;
  /** Whether it vanishes when types are stripped. */
  readonly typeOnly: boolean;
  readonly line: number;
}

/** A named function, method or assigned arrow. */
export interface SourceFunction {
  readonly name: string;
  readonly line: number;
  /** Lines of its own: those of functions inside it count for them. */
  readonly lines: number;
}

/** A string literal that is an error code, and how it stands there. */
export interface CodeMention {
  readonly code: string;
  readonly line: number;
  /** `bare`: handed straight to a constructor of the error class. `compared`: it is only looked for. */
  readonly use: 'made' | 'bare' | 'compared';
}

/** What the rules need to know of one TypeScript file. */
export interface SourceFile {
  /** Path from the repository's root, with `/`. */
  readonly path: string;
  readonly text: string;
  readonly lines: number;
  readonly imports: readonly SourceImport[];
  readonly functions: readonly SourceFunction[];
  readonly codes: readonly CodeMention[];
  /** Lines of constructs that the house does not use. */
  readonly constructs: readonly { readonly construct: string; readonly line: number }[];
  /** Names on the right of `instanceof`. */
  readonly instanceOf: readonly { readonly name: string; readonly line: number }[];
  /** Exported classes. */
  readonly classes: readonly string[];
  /** Exported declarations, and whether each has a doc comment. */
  readonly exported: readonly { readonly name: string; readonly documented: boolean; readonly line: number }[];
}

const codePattern = /^MNOPS_(CORE|SECRETS|MONITORING|LOGGING|APM|ORCHESTRATION|DR)_[A-Z0-9_]+$/;

/** Reads one TypeScript file. */
export function parseSource(path: string, text: string): SourceFile {
  const tree = ts.createSourceFile(path, text, ts.ScriptTarget.ES2022, true);
  const line = (node: ts.Node): number => tree.getLineAndCharacterOfPosition(node.getStart(tree)).line + 1;
  const imports: SourceImport[] = [];
  const functions: SourceFunction[] = [];
  const codes: CodeMention[] = [];
  const constructs: { construct: string; line: number }[] = [];
  const instanceOf: { name: string; line: number }[] = [];
  const classes: string[] = [];
  const exported: { name: string; documented: boolean; line: number }[] = [];

  const visit = (node: ts.Node): void => {
    const imported = importOf(node);
    if (imported !== undefined) imports.push({ ...imported, line: line(node) });
    const name = functionName(node, tree);
    if (name !== undefined) {
      functions.push({ name, line: line(node), lines: ownLines(node, tree) });
    }
    if (ts.isStringLiteralLike(node) && codePattern.test(node.text)) {
      codes.push({ code: node.text, line: line(node), use: useOf(node) });
    }
    const construct = constructOf(node);
    if (construct !== undefined) constructs.push({ construct, line: line(node) });
    if (isInstanceOf(node)) instanceOf.push({ name: node.right.getText(tree), line: line(node) });
    for (const declared of exportedNames(node)) {
      if (ts.isClassDeclaration(node)) classes.push(declared);
      exported.push({ name: declared, documented: ts.getJSDocCommentsAndTags(node).length > 0, line: line(node) });
    }
    ts.forEachChild(node, visit);
  };
  visit(tree);
  const lines = text === '' ? 0 : text.split('\n').length - (text.endsWith('\n') ? 1 : 0);
  return { path, text, lines, imports, functions, codes, constructs, instanceOf, classes, exported };
}

function importOf(node: ts.Node): Omit<SourceImport, 'line'> | undefined {
  if (ts.isImportDeclaration(node) && ts.isStringLiteral(node.moduleSpecifier)) {
    return { specifier: node.moduleSpecifier.text, typeOnly: isTypeImport(node.importClause) };
  }
  if (ts.isExportDeclaration(node) && node.moduleSpecifier !== undefined && ts.isStringLiteral(node.moduleSpecifier)) {
    const names =
      node.exportClause !== undefined && ts.isNamedExports(node.exportClause) ? node.exportClause.elements : [];
    const typeOnly = node.isTypeOnly || (names.length > 0 && names.every((name) => name.isTypeOnly));
    return { specifier: node.moduleSpecifier.text, typeOnly };
  }
  if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
    const [argument] = node.arguments;
    if (argument !== undefined && ts.isStringLiteral(argument)) return { specifier: argument.text, typeOnly: false };
  }
  if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument) && ts.isStringLiteral(node.argument.literal)) {
    return { specifier: node.argument.literal.text, typeOnly: true };
  }
  return undefined;
}

function isTypeImport(clause: ts.ImportClause | undefined): boolean {
  if (clause === undefined) return false;
  if (clause.isTypeOnly) return true;
  if (clause.name !== undefined || clause.namedBindings === undefined) return false;
  return ts.isNamedImports(clause.namedBindings) && clause.namedBindings.elements.every((name) => name.isTypeOnly);
}

function functionName(node: ts.Node, tree: ts.SourceFile): string | undefined {
  if (ts.isFunctionDeclaration(node) && node.body !== undefined) return node.name?.text ?? 'default';
  if (ts.isConstructorDeclaration(node) && node.body !== undefined) return 'constructor';
  if ((ts.isMethodDeclaration(node) || ts.isAccessor(node)) && node.body !== undefined) return node.name.getText(tree);
  if ((ts.isArrowFunction(node) || ts.isFunctionExpression(node)) && node.parent !== undefined) {
    const { parent } = node;
    if (ts.isVariableDeclaration(parent) || ts.isPropertyAssignment(parent) || ts.isPropertyDeclaration(parent)) {
      return parent.name.getText(tree);
    }
  }
  return undefined;
}

function ownLines(node: ts.Node, tree: ts.SourceFile): number {
  const lineOf = (position: number): number => tree.getLineAndCharacterOfPosition(position).line;
  const lines = lineOf(node.getEnd()) - lineOf(node.getStart(tree)) + 1;
  const nested = (inner: ts.Node): number => {
    let total = 0;
    ts.forEachChild(inner, (child) => {
      const isFunction = functionName(child, tree) !== undefined;
      total += isFunction ? lineOf(child.getEnd()) - lineOf(child.getStart(tree)) : nested(child);
    });
    return total;
  };
  return lines - nested(node);
}

function useOf(literal: ts.StringLiteralLike): CodeMention['use'] {
  const { parent } = literal;
  if (ts.isNewExpression(parent) && /Mnops.*Error$|^MnopsError$/.test(parent.expression.getText())) return 'bare';
  if (ts.isBinaryExpression(parent) && parent.operatorToken.getText().includes('==')) return 'compared';
  if (ts.isCaseClause(parent) || ts.isLiteralTypeNode(parent)) return 'compared';
  if (ts.isCallExpression(parent) && /\.is$/.test(parent.expression.getText())) return 'compared';
  return 'made';
}

function constructOf(node: ts.Node): string | undefined {
  if (node.kind === ts.SyntaxKind.AnyKeyword) return 'any';
  if (ts.isExportDeclaration(node) && node.moduleSpecifier !== undefined && node.exportClause === undefined)
    return 'export *';
  const isModuleLevel = ts.isVariableStatement(node) && ts.isSourceFile(node.parent);
  if (isModuleLevel && (node.declarationList.flags & (ts.NodeFlags.Let | ts.NodeFlags.Const)) !== ts.NodeFlags.Const) {
    return 'module-level variable';
  }
  return undefined;
}

function isInstanceOf(node: ts.Node): node is ts.BinaryExpression {
  return ts.isBinaryExpression(node) && node.operatorToken.kind === ts.SyntaxKind.InstanceOfKeyword;
}

function exportedNames(node: ts.Node): readonly string[] {
  if (!ts.canHaveModifiers(node) || !ts.isSourceFile(node.parent)) return [];
  if (!ts.getModifiers(node)?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword)) return [];
  if (ts.isVariableStatement(node)) return node.declarationList.declarations.map(({ name }) => name.getText());
  const named = ts.isFunctionDeclaration(node) || ts.isClassDeclaration(node) || ts.isInterfaceDeclaration(node);
  if (named || ts.isTypeAliasDeclaration(node)) return node.name === undefined ? [] : [node.name.text];
  return [];
}
