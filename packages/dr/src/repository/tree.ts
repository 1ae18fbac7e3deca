import { compareNames, nameBytes, nameFromBytes, quoteName, unquoteName } from './go-format.js';

/** What a node is. */
export type NodeType = 'file' | 'dir' | 'symlink' | 'dev' | 'chardev' | 'fifo' | 'socket';

/** One entry of a folder, as the format stores it; times are RFC 3339, modes those of Go. */
export interface TreeNode {
  /** The plain name; it is quoted only in the stored text. */
  readonly name: string;
  readonly type: NodeType;
  readonly mode: number;
  readonly mtime: string;
  readonly ctime: string;
  readonly uid: number;
  readonly gid: number;
  readonly inode: number;
  readonly deviceId: number;
  /** Bytes; files only. */
  readonly size: number;
  /** Number of hard links; 0 when not recorded. */
  readonly links: number;
  /** Target of a symbolic link. */
  readonly linkTarget?: string | undefined;
  /** Device number of a device node. */
  readonly device?: number | undefined;
  /** Ids of the blobs that make the content; files only. */
  readonly content?: readonly string[] | undefined;
  /** Id of the folder's own tree; folders only. */
  readonly subtree?: string | undefined;
  /** How many extended attributes the node has; they are kept by restic and left out here. */
  readonly attributes?: number | undefined;
}

/** Text of a tree: its nodes in the order of their names' bytes, and a line end. */
export function encodeTree(nodes: readonly TreeNode[]): string {
  const sorted = [...nodes].sort((a, b) => compareNames(a.name, b.name));
  return `{"nodes":[${sorted.map(encodeNode).join(',')}]}\n`;
}

function encodeNode(node: TreeNode): string {
  const { type, mtime, ctime, content, linkTarget } = node;
  let text = `{"name":${JSON.stringify(quoteName(node.name))},"type":"${type}","mode":${node.mode},"mtime":"${mtime}"`;
  text += `,"atime":"${mtime}","ctime":"${ctime}","uid":${node.uid},"gid":${node.gid}`;
  if (node.inode > 0) text += `,"inode":${node.inode}`;
  if (node.deviceId > 0) text += `,"device_id":${node.deviceId}`;
  if (node.size > 0) text += `,"size":${node.size}`;
  if (node.links > 0) text += `,"links":${node.links}`;
  if (linkTarget !== undefined) text += encodeLinkTarget(linkTarget);
  if (node.device !== undefined) text += `,"device":${node.device}`;
  text +=
    content === undefined
      ? ',"content":null'
      : `,"content":${content.length === 0 ? '[]' : `["${content.join('","')}"]`}`;
  if (node.subtree !== undefined) text += `,"subtree":"${node.subtree}"`;
  return `${text}}`;
}

function encodeLinkTarget(target: string): string {
  const bytes = nameBytes(target);
  const text = `,"linktarget":${JSON.stringify(bytes.toString('utf8'))}`;
  return Buffer.from(bytes.toString('utf8'), 'utf8').equals(bytes)
    ? text
    : `${text},"linktarget_raw":"${bytes.toString('base64')}"`;
}

interface NodeText {
  readonly name: string;
  readonly type: string;
  readonly mode?: number;
  readonly mtime?: string;
  readonly ctime?: string;
  readonly uid?: number;
  readonly gid?: number;
  readonly inode?: number;
  readonly device_id?: number;
  readonly size?: number;
  readonly links?: number;
  readonly linktarget?: string;
  readonly linktarget_raw?: string;
  readonly device?: number;
  readonly content?: readonly string[] | null;
  readonly subtree?: string;
  readonly extended_attributes?: readonly unknown[];
}

const types: readonly string[] = ['file', 'dir', 'symlink', 'dev', 'chardev', 'fifo', 'socket'];

/** The nodes of a stored tree, or `undefined` when it is not one. Names are not judged here: see `safeName`. */
export function decodeTree(bytes: Buffer): TreeNode[] | undefined {
  try {
    const { nodes } = JSON.parse(bytes.toString('utf8')) as { readonly nodes: readonly NodeText[] | null };
    return (nodes ?? []).map(decodeNode);
  } catch {
    return undefined;
  }
}

const zeroTime = '1970-01-01T00:00:00Z';

function decodeNode(text: NodeText): TreeNode {
  const name = unquoteName(text.name);
  if (name === undefined || !types.includes(text.type)) throw new TypeError('not a node');
  return {
    name,
    type: text.type as NodeType,
    mode: text.mode ?? 0,
    mtime: text.mtime ?? zeroTime,
    ctime: text.ctime ?? zeroTime,
    uid: text.uid ?? 0,
    gid: text.gid ?? 0,
    inode: text.inode ?? 0,
    deviceId: text.device_id ?? 0,
    size: text.size ?? 0,
    links: text.links ?? 0,
    linkTarget: linkTargetOf(text),
    device: text.device,
    content: text.type === 'file' ? (text.content ?? []) : undefined,
    subtree: text.subtree,
    attributes: text.extended_attributes?.length,
  };
}

function linkTargetOf({ type, linktarget, linktarget_raw }: NodeText): string | undefined {
  if (type !== 'symlink') return undefined;
  return linktarget_raw === undefined ? (linktarget ?? '') : nameFromBytes(Buffer.from(linktarget_raw, 'base64'));
}
