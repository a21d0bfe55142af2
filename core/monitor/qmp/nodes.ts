/**
 * The images that clients have opened by themselves, as nodes with a name.
 *
 * @module
 */

import type { Medium } from "../../machine/media.ts";
import type { Parts } from "../../machine/parts.ts";
import type { Monitor } from "./command.ts";
import { GenericError } from "./error.ts";

/** A node. */
export interface BlockNode {
  /** The node below, if a client has named one. */
  readonly below?: string;
  /** What it is as a medium. */
  readonly medium: Medium;
  /** The drive that it was put in, and what that then had. */
  put?: { readonly drive: string; readonly medium: Medium | undefined };
}

/** The nodes of machines. */
const nodes = new WeakMap<Parts, Map<string, BlockNode>>();

/** The nodes of a machine by name, which are changed. */
export function nodesOf(parts: Parts): Map<string, BlockNode> {
  let all = nodes.get(parts);
  if (all === undefined) nodes.set(parts, all = new Map());
  return all;
}

/** A node by its name; throws a `GenericError` where there is none. */
export function nodeNamed(parts: Parts, name: string): BlockNode {
  const found = nodesOf(parts).get(name);
  if (found !== undefined) return found;
  throw new GenericError(`Failed to find node with node-name='${name}'`);
}

/** The drive in which a node is now. */
export function driveOf(
  { machine }: Pick<Monitor, "machine">,
  { put }: BlockNode,
): string | undefined {
  if (put?.medium === undefined) return undefined;
  return machine.media.inserted(put.drive) === put.medium
    ? put.drive
    : undefined;
}

/** The name of the node in a drive, if a client has put one in. */
export function nodeIn(
  { machine, parts }: Pick<Monitor, "machine" | "parts">,
  drive: string,
): string | undefined {
  for (const [name, node] of nodes.get(parts) ?? []) {
    if (driveOf({ machine }, node) === drive) return name;
  }
  return undefined;
}
