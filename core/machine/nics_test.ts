import { assertEquals, assertThrows } from "@std/assert";
import { DefinitionError } from "./document.ts";
import { parseNic } from "./nics.ts";

/** What a card says, without where it was said and what it does not say. */
function said(text: string) {
  const { option, ...nic } = parseNic(text);
  assertEquals(option, `--nic ${text}`);
  return JSON.parse(JSON.stringify(nic));
}

Deno.test("nic: its own keys, and the network's in order", () => {
  assertEquals(said("user"), { network: "user", settings: [] });
  assertEquals(
    said("user,model=e1000,hostfwd=tcp::1-:2,mac=m,restrict,hostfwd=a=b"),
    {
      network: "user",
      model: "e1000",
      mac: "m",
      settings: [
        ["hostfwd", "tcp::1-:2"],
        ["restrict", null],
        ["hostfwd", "a=b"],
      ],
    },
  );
  assertEquals(said("socket,unix=/a,,b,pcap=c,,d"), {
    network: "socket",
    pcap: "c,d",
    settings: [["unix", "/a,b"]],
  });
});

Deno.test("nic: mistakes name the option", () => {
  const cases: [string, string][] = [
    ["", 'expected a network first, as in "user,model=e1000"'],
    ["type=user", 'expected a network first, as in "user,model=e1000"'],
    ["user,mac", '"mac" needs a value'],
    ["user,pcap=", '"pcap" needs a value'],
    ["user,model=a,model=b", '"model" is there twice'],
  ];
  for (const [text, message] of cases) {
    const error = assertThrows(() => parseNic(text), DefinitionError);
    assertEquals(error.message, `--nic ${text}: ${message}`);
  }
});
