import { assertEquals, assertThrows } from "@std/assert";
import {
  COMMON_EVENTS,
  DeviceEvents,
  eventFault,
  type ToldEvent,
} from "./device_events.ts";

const SPEC = {
  description: "Something has happened",
  data: { n: "number", text: "string", is: "boolean", bytes: "bytes" },
} as const;
const DATA = { n: 1, text: "a", is: true, bytes: Uint8Array.of(1) };

Deno.test("an event is told to those who hear it, and computed for nobody else", () => {
  let now = 0;
  const events = new DeviceEvents(() => now);
  const one = events.declare("disk", "command", SPEC);
  const other = events.declare("nic", "command", SPEC);
  const told: ToldEvent[] = [];
  const used: boolean[] = [];
  one.onHeard = (isHeard) => used.push(isHeard);
  assertEquals(one.isHeard, false);
  one.tell(DATA);
  const end = events.hear({ device: "disk" }, (event) => told.push(event));
  const endAll = events.hear({ event: "command" }, (event) => told.push(event));
  assertEquals([one.isHeard, other.isHeard], [true, true]);
  now = 5;
  one.tell(DATA);
  const expected = { device: "disk", event: "command", time: 5, data: DATA };
  assertEquals(told.splice(0), [expected, expected]);
  end();
  end();
  other.tell(DATA);
  assertEquals(told.map(({ device }) => device), ["nic"]);
  endAll();
  assertEquals([one.isHeard, other.isHeard], [false, false]);
  assertEquals(used, [true, false]);
});

Deno.test("one who ends hearing in the midst hears no more, the others do", () => {
  const events = new DeviceEvents(() => 0);
  const event = events.declare("a", "b", { description: "" });
  const told: number[] = [];
  const end = events.hear({}, () => {
    told.push(1);
    end();
  });
  events.hear({}, () => told.push(2));
  event.tell({});
  event.tell({});
  assertEquals(told, [1, 2, 2]);
});

Deno.test("what there is not is refused by its name", () => {
  const events = new DeviceEvents(() => 0);
  const hear = (filter: { device?: string; event?: string }): string =>
    assertThrows(() => events.hear(filter, () => {}), RangeError).message;
  assertEquals(hear({}), "there are no events of devices");
  events.declare("ide0", "command", SPEC);
  assertEquals(
    hear({ device: "ide1" }),
    'there is no device "ide1"; did you mean "ide0"?',
  );
  assertEquals(
    hear({ device: "ide0", event: "frame" }),
    'there is no event "frame" of the device "ide0"; expected "command"',
  );
  assertEquals(
    hear({ event: "comand" }),
    'there is no event "comand"; did you mean "command"?',
  );
  assertThrows(
    () => events.declare("ide0", "command", SPEC),
    Error,
    'has two events "command"',
  );
});

Deno.test("the values of an event are those of its declaration", () => {
  assertEquals(eventFault(SPEC, DATA), undefined);
  assertEquals(eventFault({ description: "" }, {}), undefined);
  assertEquals(
    eventFault(SPEC, { ...DATA, bytes: "a" }),
    '"bytes" is string, expected bytes',
  );
  assertEquals(eventFault(SPEC, { ...DATA, n: NaN }), '"n" is NaN');
  assertEquals(eventFault(SPEC, { ...DATA, m: 1 }), '"m" is not declared');
  const { text: _, ...rest } = DATA;
  assertEquals(
    eventFault(SPEC, rest),
    '"text" is undefined, expected string',
  );
  for (const { description } of Object.values(COMMON_EVENTS)) {
    assertEquals(description.endsWith("."), false);
  }
});
