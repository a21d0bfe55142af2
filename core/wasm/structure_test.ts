import { assertEquals } from "@std/assert";
import { analyse, emitStructured, type Graph, hasCycle } from "./structure.ts";

/** The structured form as text: what a person would write. */
function text(graph: Graph): string {
  const lines: string[] = [];
  let depth = 0;
  const put = (s: string): void => void lines.push("  ".repeat(depth) + s);
  const structure = analyse(graph);
  emitStructured(structure, {
    block: (n) => (put(`block ->${n}`), depth++),
    loop: (n) => (put(`loop ${n}`), depth++),
    end: () => (depth--, put("end")),
    node: (n, go) => {
      put(`node ${n}`);
      structure.graph[n].forEach((t, i) => {
        if (t < 0) put("leave");
        else go(i);
      });
    },
    branch: (n, toLoop) => put(toLoop ? `continue ${n}` : `break ->${n}`),
  });
  return lines.join("\n");
}

Deno.test("cycles: of what the entry reaches, whichever way it was numbered", () => {
  assertEquals(hasCycle([[1, 2], [3], [3], [-1]]), false);
  assertEquals(hasCycle([[2], [-1, 3], [1, 3], []]), false);
  assertEquals(hasCycle([[1, -1], [1]]), true);
  assertEquals(hasCycle([[2], [0], [3], [1]]), true);
  assertEquals(hasCycle([[0]]), true);
  // Node 1 is in a loop, but control never gets there.
  assertEquals(hasCycle([[-1], [2], [1]]), false);
});

Deno.test("golden: a diamond", () => {
  assertEquals(
    text([[1, 2], [3], [3], [-1]]),
    `block ->3
  node 0
  node 1
  break ->3
  node 2
  break ->3
end
node 3
leave`,
  );
});

Deno.test("golden: nested loops with an exit", () => {
  assertEquals(
    text([[1], [2], [2, 3], [1, -1]]),
    `node 0
loop 1
  node 1
  loop 2
    node 2
    continue 2
    node 3
    continue 1
    leave
  end
end`,
  );
});

Deno.test("golden: both ways of a branch lead to one node", () => {
  assertEquals(
    text([[1, 1], [0]]),
    `loop 0
  block ->1
    node 0
    break ->1
    break ->1
  end
  node 1
  continue 0
end`,
  );
});

Deno.test("golden: an irreducible loop is cut", () => {
  // 0 -> 1 and 0 -> 2, 1 <-> 2: neither dominates the other.
  assertEquals(
    text([[1, 2], [2], [1, -1]]),
    `block ->2
  node 0
  node 1
  break ->2
  break ->2
end
node 2
leave
leave`,
  );
});

Deno.test("random graphs: structured form runs the same paths", () => {
  let seed = 12345;
  const random = (n: number): number => {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
    return (seed >>> 8) % n;
  };
  for (let round = 0; round < 500; round++) {
    const n = 1 + random(12);
    const graph = Array.from(
      { length: n },
      () => Array.from({ length: random(3) }, () => random(n + 1) - 1),
    );
    // Run both with the same coins: the structured form through an
    // interpreter of what it emits.
    type Code = (string | number | Code)[];
    const structure = analyse(graph);
    const root: Code = [];
    const stack: Code[] = [root];
    const arms: Map<number, Code[]> = new Map();
    emitStructured(structure, {
      block: (t) => {
        const body: Code = [];
        stack.at(-1)!.push(["block", t, body]);
        stack.push(body);
      },
      loop: (t) => {
        const body: Code = [];
        stack.at(-1)!.push(["loop", t, body]);
        stack.push(body);
      },
      end: () => void stack.pop(),
      node: (t, go) => {
        const mine: Code[] = structure.graph[t].map(() => []);
        arms.set(t, mine);
        stack.at(-1)!.push(["node", t]);
        mine.forEach((arm, i) => {
          stack.push(arm);
          if (structure.graph[t][i] >= 0) go(i);
          stack.pop();
        });
      },
      branch: (t, toLoop) =>
        stack.at(-1)!.push([toLoop ? "continue" : "break", t]),
    });
    const coins = Array.from({ length: 60 }, () => random(2));
    const expected: number[] = [];
    for (let at = 0, i = 0; at >= 0 && i < coins.length; i++) {
      expected.push(at);
      const to: number[] = structure.graph[at];
      at = to.length === 0 ? -1 : to[coins[i] % to.length];
    }
    const got: number[] = [];
    let coin = 0;
    /** Runs code; gives the branch under way, or "left". */
    const run = (code: Code): string => {
      for (const item of code as Code[]) {
        const [kind, t, body] = item as [string, number, Code];
        if (kind === "continue" || kind === "break") return `${kind} ${t}`;
        if (kind === "node") {
          if (coin >= coins.length) return "left";
          got.push(t);
          const to = structure.graph[t];
          const arm = to.length === 0 ? -1 : coins[coin] % to.length;
          coin++;
          if (arm < 0 || to[arm] < 0) return "left";
          const r = run(arms.get(t)![arm]);
          if (r !== "") return r;
        } else if (kind === "block") {
          const r = run(body);
          if (r === "left" || (r !== "" && r !== `break ${t}`)) return r;
        } else {
          let r = "";
          do r = run(body); while (r === `continue ${t}`);
          if (r !== "") return r;
        }
      }
      return "";
    };
    run(root);
    assertEquals(got, expected, JSON.stringify(graph));
  }
});
