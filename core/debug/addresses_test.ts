import { assertEquals, assertThrows } from "@std/assert";
import { addressText, checkAddress, linearAddress } from "./addresses.ts";

Deno.test("linear addresses from text and back", () => {
  for (
    const [text, address] of [
      ["0x0", 0],
      ["0xc0100000", 0xc0100000],
      ["0x7fffffffffff", 2 ** 47 - 1],
      ["0xffff800000000000", -(2 ** 47)],
      ["0xffffffff81000000", -0x7f000000],
      ["0xffffffffffffffff", -1],
    ] as const
  ) {
    assertEquals(linearAddress(text), address);
    assertEquals(linearAddress(text.slice(2).toUpperCase()), address);
    assertEquals(linearAddress(BigInt(text)), address);
    assertEquals(linearAddress(BigInt(address)), address);
    assertEquals(addressText(address), text);
  }
  for (
    const wrong of [
      "",
      "0x",
      "4g",
      "-1",
      "0x1ffffffffffffffff",
      "0x800000000000",
      "0xffff7fffffffffff",
      2n ** 64n,
      -(2n ** 47n) - 1n,
    ]
  ) assertThrows(() => linearAddress(wrong), RangeError);
});

Deno.test("what is no address is refused, with what may have been meant", () => {
  checkAddress(-1);
  assertThrows(() => checkAddress(0.5), RangeError, "0.5 is no address");
  assertThrows(
    () => checkAddress(0xffffffff81000000),
    RangeError,
    "see linearAddress",
  );
});
