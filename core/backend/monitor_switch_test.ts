import { assertEquals } from "@std/assert";
import type { MonitorConsole, MonitorSession } from "../monitor/console.ts";
import { MonitorSwitch } from "./monitor_switch.ts";

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
const decode = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const settle = () => new Promise<void>((resolve) => setTimeout(resolve, 1));

/** A session that notes what is typed, with a prompt. */
class FakeSession implements MonitorSession {
  typed = "";
  shown = 0;
  readonly erased = "<erase>";
  readonly drawn = "<draw>";
  constructor(readonly console: MonitorConsole) {}
  input(bytes: Uint8Array): void {
    this.typed += decode(bytes);
  }
  show(): void {
    this.shown++;
  }
  done(): Promise<void> {
    return Promise.resolve();
  }
}

function fixture() {
  const made: FakeSession[] = [];
  const out = { text: "" };
  const monitor = new MonitorSwitch(
    (console) => {
      made.push(new FakeSession(console));
      return Promise.resolve(made[0]);
    },
    {
      write: (text) => out.text += text,
      isTerminal: true,
      columns: () => 80,
    },
  );
  return { made, out, monitor };
}

Deno.test("monitor switch: the guest's output passes while the guest is seen", () => {
  const { monitor } = fixture();
  assertEquals(decode(monitor.output(encode("# "))), "# ");
});

Deno.test("monitor switch: one session, there and back", async () => {
  const { made, monitor } = fixture();
  monitor.toggle();
  // Typed before the session is there.
  monitor.input(encode("early "));
  await settle();
  monitor.input(encode("late"));
  monitor.toggle();
  monitor.toggle();
  await settle();
  assertEquals(made.length, 1);
  assertEquals([made[0].typed, made[0].shown], ["early late", 2]);
  made[0].console.leave();
  assertEquals(monitor.isOpen, false);
});

Deno.test("monitor switch: the guest's lines come above the one being typed", async () => {
  const { out, monitor } = fixture();
  monitor.toggle();
  await settle();
  const output = (text: string): string => decode(monitor.output(encode(text)));
  assertEquals(output("one"), "");
  assertEquals(output(" line\nand"), "<erase>one line\n<draw>");
  assertEquals(output(" more\r\n"), "<erase>and more\r\n<draw>");
  // A guest without line ends is seen, too, and nothing grows.
  assertEquals(output("x".repeat(5000)).length, 5000 + "<erase><draw>".length);
  assertEquals(output("rest"), "");
  monitor.toggle();
  await settle();
  assertEquals(out.text, "\r\nrest");
  assertEquals(output("now"), "now");
});

Deno.test("monitor switch: without a monitor there is nothing to switch to", () => {
  const monitor = new MonitorSwitch(undefined, {
    write: () => {},
    isTerminal: true,
    columns: () => 80,
  });
  monitor.toggle();
  assertEquals(monitor.isOpen, false);
});
