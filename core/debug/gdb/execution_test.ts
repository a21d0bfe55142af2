import { assertEquals } from "@std/assert";
import type { MachineDebugger } from "../contract.ts";
import { Execution } from "./execution.ts";
import type { Points } from "./points.ts";

/** Which CPUs step when the first one of two is to, and the other goes on. */
async function stepped(keepsOrder: boolean): Promise<number[]> {
  const steps: number[] = [];
  const machine = {
    keepsOrder,
    cpus: [0, 1].map((index) => ({ index, isWaiting: false, pc: 0 })),
    asOne: (run: () => Promise<unknown>) => run(),
    step: (cpu: number) => {
      steps.push(cpu);
      return Promise.resolve({ kind: "step", cpu });
    },
  };
  const points = { breakpointAt: () => undefined };
  const execution = new Execution(
    machine as unknown as MachineDebugger,
    points as unknown as Points,
  );
  const event = await execution.run(
    [{ kind: "step" }, { kind: "continue" }],
    0,
  );
  assertEquals(event, { kind: "step", cpu: 0 });
  return steps;
}

Deno.test("gdb: where CPUs keep an order only the one that is to step does", async () => {
  assertEquals(await stepped(false), [0, 1]);
  assertEquals(await stepped(true), [0]);
});
