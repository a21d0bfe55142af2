/**
 * Which programs there are on the host.
 *
 * @module
 */

/** Whether a program can be run: it is asked for its version. */
export function hasProgram(program: string): boolean {
  try {
    return new Deno.Command(program, {
      args: ["--version"],
      stdout: "null",
      stderr: "null",
    }).outputSync().success;
  } catch (e) {
    if (e instanceof Deno.errors.NotFound) return false;
    throw e;
  }
}
