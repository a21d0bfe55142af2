/**
 * Linux finds the instructions of the model `max`, and its drivers on AES-NI,
 * PCLMULQDQ and SSE4.2 pass the kernel's own tests.
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { boot, isapc, PATIENCE, withScript } from "../guest.ts";
import { kernelModules } from "../modules.ts";

const MODULES = ["aesni_intel", "crc32_pclmul", "crc32c_intel"];
/** What the drivers call themselves, from /proc/crypto. */
const DRIVERS = [
  ...["aes-aesni", "ecb-aes-aesni", "cbc-aes-aesni", "xts-aes-aesni"],
  ...["crc32-pclmul", "crc32c-intel"],
];
/** As /proc/cpuinfo has them. */
const FLAGS = [
  ..."pni pclmulqdq ssse3 sse4_1 sse4_2 movbe popcnt aes rdrand".split(" "),
  ..."rdseed adx clflushopt clwb sha_ni abm 3dnowprefetch rdtscp".split(" "),
  ..."xsave xsaveopt xsavec xgetbv1 xsaves avx avx2 fma f16c bmi1 bmi2".split(
    " ",
  ),
];

boot("Linux uses AES-NI, PCLMULQDQ and CRC32", async ({ kernel }) => {
  const modules = await kernelModules(kernel, MODULES);
  if (typeof modules === "string") {
    console.log(`skipped: ${modules}`);
    return;
  }
  const script = `dmesg -n 1
${modules.script}cat /proc/cpuinfo /proc/crypto
dmesg | grep -e alg: -e WARNING -e invalid
echo the end
sleep 1000`;
  await withScript(script, async (initrd) => {
    const machine = await isapc({ kernel, initrd, cpu: "max" });
    try {
      const text = await machine.serial(0).expect(/the end\r\n/, PATIENCE);
      const flags = /^flags\s*: (.*)$/m.exec(text)![1].trim().split(" ");
      assertEquals(FLAGS.filter((name) => !flags.includes(name)), []);
      for (const driver of DRIVERS) {
        const entry = text.split(/\r\n\r\n/)
          .find((part) => part.includes(`: ${driver}\r\n`));
        assert(entry !== undefined, driver);
        assertMatch(entry, /^selftest *: passed/m, driver);
      }
      assertEquals(
        text.match(/^.*(alg: .*fail|WARNING|invalid opcode).*$/gm),
        null,
      );
    } finally {
      await machine.stop();
    }
  }, modules.entries);
});
