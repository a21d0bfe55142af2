/**
 * What is requested of a machine while its guest runs, and done between slices:
 * to end, to be reset, to reset or INIT CPUs.
 *
 * @module
 */

import { loadKernel } from "./boot.ts";
import { initialize } from "./cpu.ts";
import type { Parts } from "./parts.ts";
import { hasRom } from "./plan_types.ts";
import type { RunLoop } from "./run_loop.ts";

/** Does what is requested of a machine. */
export class RequestHandler {
  readonly #parts: Parts;
  readonly #loop: () => RunLoop;

  /** For a machine of these parts; `loop` is made after this. */
  constructor(parts: Parts, loop: () => RunLoop) {
    this.#parts = parts;
    this.#loop = loop;
  }

  /** Between slices: do what was requested. Says whether the CPU was reset. */
  between(): boolean {
    const { requests } = this.#parts;
    if (requests.end !== undefined) {
      this.#loop().stop();
      return false;
    }
    if (requests.reset) {
      requests.reset = false;
      requests.cpuReset = requests.cpuInit = 0;
      if (requests.noReboot) {
        requests.end = { reason: "reset", status: 0 };
        this.#loop().stop();
        return false;
      }
      if (this.#hasKernel && this.#parts.boot === undefined) {
        // The guest stands still from now on until it can be reset.
        requests.reset = true;
        void this.#loop().hold(() => this.#readBoot());
        return false;
      }
      this.reset();
      this.#parts.events.emit({ type: "reset", cause: requests.resetCause });
      return true;
    }
    const { cpuReset, cpuInit } = requests;
    if ((cpuReset | cpuInit) === 0) return false;
    requests.cpuReset = requests.cpuInit = 0;
    this.#parts.cpus.forEach((cpu, i) => {
      if ((cpuReset >> i & 1) !== 0) cpu.reset();
      else if ((cpuInit >> i & 1) !== 0) initialize(cpu);
    });
    return true;
  }

  /** Reset everything and load the kernel anew, if there is one. */
  reset(): void {
    const { requests, plan, devices, cpu } = this.#parts;
    for (const { name } of plan.devices) devices.get(name)!.reset();
    cpu.reset();
    // Reset pulses that devices gave while they were reset mean nothing.
    requests.reset = false;
    requests.cpuReset = requests.cpuInit = 0;
    const entry = loadKernel(this.#parts);
    if (entry !== undefined) cpu.enter(entry);
  }

  /**
   * A board resets the CPU that has shut down. A kernel would be loaded anew
   * and again, and nobody would see where it was.
   */
  get resetsAtShutdown(): boolean {
    const { requests, plan } = this.#parts;
    return !this.#hasKernel && !requests.noReboot && hasRom(plan);
  }

  get #hasKernel(): boolean {
    return this.#parts.plan.definition.boot.kernel !== undefined;
  }

  /** A machine that goes on from a snapshot is reset: read what it starts with. */
  async #readBoot(): Promise<void> {
    const { requests, options } = this.#parts;
    const { readBootImages } = await import("./boot_images.ts");
    try {
      this.#parts.boot = await readBootImages(this.#parts.plan);
    } catch (error) {
      const reason = error instanceof Error ? error.message : `${error}`;
      options.log?.(`the machine cannot be reset: ${reason}`);
      requests.reset = false;
      requests.end = { reason: "reset", status: 1 };
    }
  }
}
