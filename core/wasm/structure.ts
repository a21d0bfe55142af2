/**
 * Structured control flow from a control flow graph.
 *
 * WebAssembly has no goto. From the dominator tree of a reducible graph the
 * translation is direct (N. Ramsey, "Beyond Relooper: recursive translation of
 * unstructured control flow to structured control flow", ICFP 2022): a node
 * with a back edge into it opens a `loop`; a node that several forward edges
 * reach is placed after a `block` that its dominator opens, and edges to it
 * branch out of that block; any other node stands where its one edge comes
 * from. Edges that would make the graph irreducible are cut: the caller turns
 * them into exits, as if their target were outside.
 *
 * @module
 */

/** A control flow graph: node 0 is the entry; successors in order, -1 for "outside". */
export type Graph = readonly (readonly number[])[];

/** What the translation asks its caller to emit. */
export interface StructureSink {
  /** Opens a `block`; `node` is what stands after its end. */
  block(node: number): void;
  /** Opens a `loop` at whose head `node` stands. */
  loop(node: number): void;
  /** Closes the innermost open block or loop. */
  end(): void;
  /**
   * Emits a node's instructions and its terminator. For each successor that is
   * inside, the terminator calls `go(i)` where control goes to successor i.
   */
  node(node: number, go: (successor: number) => void): void;
  /** Branches out of the block before `node`, or to the head of its loop. */
  branch(node: number, toLoop: boolean): void;
}

/** A graph's structure: what stands where. */
export interface Structure {
  /** The reachable nodes in reverse postorder. */
  readonly order: readonly number[];
  /** Immediate dominator of each reachable node (itself for the entry), else -1. */
  readonly idom: readonly number[];
  /** The graph with the edges cut that made it irreducible: -1 in their place. */
  readonly graph: number[][];
}

function postorder(graph: Graph): number[] {
  const order: number[] = [];
  const state = new Uint8Array(graph.length);
  const stack: number[] = [0];
  const at: number[] = [0];
  state[0] = 1;
  while (stack.length > 0) {
    const n = stack[stack.length - 1];
    const i = at[at.length - 1]++;
    if (i < graph[n].length) {
      const s = graph[n][i];
      if (s >= 0 && state[s] === 0) {
        state[s] = 1;
        stack.push(s);
        at.push(0);
      }
    } else {
      order.push(n);
      stack.pop();
      at.pop();
    }
  }
  return order;
}

/** Control can come back to a node that it has been at. */
export function hasCycle(graph: Graph): boolean {
  const order = postorder(graph);
  const rank = new Int32Array(graph.length);
  order.forEach((n, i) => rank[n] = i);
  return order.some((n) => graph[n].some((s) => s >= 0 && rank[s] >= rank[n]));
}

/** Immediate dominators (Cooper, Harvey, Kennedy: "A simple, fast dominance algorithm"). */
function dominators(
  graph: number[][],
  order: readonly number[],
  rank: Int32Array,
): number[] {
  const preds: number[][] = graph.map(() => []);
  for (const n of order) for (const s of graph[n]) if (s >= 0) preds[s].push(n);
  const idom: number[] = new Array(graph.length).fill(-1);
  idom[0] = 0;
  for (let changed = true; changed;) {
    changed = false;
    for (const n of order) {
      if (n === 0) continue;
      let d = -1;
      for (const p of preds[n]) {
        if (idom[p] < 0) continue;
        if (d < 0) {
          d = p;
          continue;
        }
        let x = p;
        let y = d;
        while (x !== y) {
          while (rank[x] > rank[y]) x = idom[x];
          while (rank[y] > rank[x]) y = idom[y];
        }
        d = x;
      }
      if (idom[n] !== d) {
        idom[n] = d;
        changed = true;
      }
    }
  }
  return idom;
}

/** Analyses a graph, cutting the retreating edges whose target does not dominate their source. */
export function analyse(input: Graph): Structure {
  const graph = input.map((s) => [...s]);
  for (;;) {
    const order = postorder(graph).reverse();
    const rank = new Int32Array(graph.length).fill(-1);
    order.forEach((n, i) => rank[n] = i);
    const idom = dominators(graph, order, rank);
    const dominates = (a: number, b: number): boolean => {
      while (rank[b] > rank[a]) b = idom[b];
      return a === b;
    };
    let cut = false;
    for (const n of order) {
      graph[n].forEach((s, i) => {
        if (s >= 0 && rank[s] <= rank[n] && !dominates(s, n)) {
          graph[n][i] = -1;
          cut = true;
        }
      });
    }
    // Cutting an edge changes the dominators, and may make nodes unreachable.
    if (!cut) return { order, idom, graph };
  }
}

/** Emits an analysed graph in structured form. */
export function emitStructured(s: Structure, sink: StructureSink): void {
  const { order, idom, graph } = s;
  const rank = new Int32Array(graph.length).fill(-1);
  order.forEach((n, i) => rank[n] = i);
  const forward = new Int32Array(graph.length);
  const header = new Uint8Array(graph.length);
  for (const n of order) {
    for (const t of graph[n]) {
      if (t < 0) continue;
      if (rank[t] <= rank[n]) header[t] = 1;
      else forward[t]++;
    }
  }
  // Children in reverse postorder, highest first: the outermost block comes first.
  const merges: number[][] = graph.map(() => []);
  for (let i = order.length - 1; i > 0; i--) {
    const n = order[i];
    if (forward[n] > 1) merges[idom[n]].push(n);
  }
  const tree = (n: number): void => {
    if (header[n] === 1) {
      sink.loop(n);
      within(n, 0);
      sink.end();
    } else {
      within(n, 0);
    }
  };
  const within = (n: number, i: number): void => {
    const ys = merges[n];
    if (i < ys.length) {
      sink.block(ys[i]);
      within(n, i + 1);
      sink.end();
      tree(ys[i]);
      return;
    }
    sink.node(n, (successor) => {
      const t = graph[n][successor];
      if (rank[t] <= rank[n]) sink.branch(t, true);
      else if (forward[t] > 1) sink.branch(t, false);
      else tree(t);
    });
  };
  tree(0);
}
