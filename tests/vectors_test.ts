import { assert, assertEquals } from "@std/assert";
import { readVectors, type Vector, VectorRunner, VECTORS } from "./vectors.ts";

const present = await Deno.stat(VECTORS).then(() => true, () => false);
const absent = `${VECTORS.pathname} is absent`;

for (const accel of ["interp", "jit"] as const) {
  const title = `silicon vectors of the 80286, ${accel}`;
  Deno.test({
    name: present ? title : `${title} (skipped: ${absent})`,
    ignore: !present,
    fn: async () => {
      const vectors = await readVectors();
      assertEquals(vectors.length, 18300);
      const runner = new VectorRunner(accel);
      const failures: string[] = [];
      const soft: string[] = [];
      const check = (v: Vector): void => {
        const wrong = runner.run(v);
        if (wrong !== "") {
          (v.soft ? soft : failures).push(`${v.name}: ${wrong}`);
        }
      };
      vectors.forEach(check);
      const softTotal = vectors.filter((v) => v.soft).length;
      console.log(
        `${title}: ${vectors.length - softTotal - failures.length} of ${
          vectors.length - softTotal
        } pass; of ${softTotal} soft ones ${softTotal - soft.length}`,
      );
      assertEquals(failures, []);
      if (accel === "jit") {
        assert(runner.regions > 1000, "nothing was compiled");
      }
    },
  });
}
