import { assertRejects } from "@std/assert";
import { within } from "./within.ts";

// That no timer is left is Deno's own check of a test.
Deno.test("within: who comes is not waited for any longer, who does not is not for ever", async () => {
  const hour = 3_600_000;
  await within(hour, Promise.resolve());
  await assertRejects(
    () => within(hour, Promise.reject(new Error("gone"))),
    Error,
    "gone",
  );
  await within(1, new Promise(() => {}));
});
