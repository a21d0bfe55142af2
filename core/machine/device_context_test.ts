import { assertEquals, assertThrows } from "@std/assert";
import type { InputEvent } from "../backend/input.ts";
import { AddressSpace } from "../bus/address_space.ts";
import { BusMasters, dmaPort } from "./bus_masters.ts";
import type { CpuCore } from "./cpu.ts";
import {
  type Building,
  deviceContext,
  gatedChar,
  gatedInput,
} from "./device_context.ts";
import { DeviceEvents } from "./device_events.ts";
import type { MachinePlan, PlannedDevice } from "./plan_types.ts";
import { Wiring } from "./wiring.ts";

/** What a device that declares nothing is given. */
function bareContext() {
  const wiring = new Wiring();
  const building = {
    plan: { definition: { cpu: { physical: "memory" } } } as MachinePlan,
    log: () => {},
    spaces: new Map([["memory", new AddressSpace("memory", 16)]]),
    wiring,
    deviceEvents: new DeviceEvents(() => 0),
    masters: new BusMasters(),
  } as Partial<Building> as Building;
  const planned = {
    name: "bare",
    plugin: { type: "device", name: "nothing", version: "1" },
    declared: { outputs: ["irq"] },
    regions: new Map(),
    use: new Map(),
    files: new Map(),
    backends: new Map(),
  } as unknown as PlannedDevice;
  return { wiring, context: deviceContext(building, planned, new Map()) };
}

Deno.test("a device is given what it declares, and nothing else", () => {
  const { wiring, context } = bareContext();
  assertEquals(context.output("irq"), wiring.output("bare", "irq"));
  const refusals: [() => unknown, string][] = [
    [() => context.output("other"), 'declares no output "other"'],
    [() => context.input("in", () => {}), 'declares no input "in"'],
    [() => context.io("r", { read: () => 0, write() {} }), 'no region "r"'],
    [() => context.memory("r"), 'declares no region "r"'],
    [() => context.mover("r"), 'declares no movable region "r"'],
    [() => context.collaborator("bus"), 'declares no collaborator "bus"'],
    [() => context.file("rom"), 'declares no file "rom"'],
    [() => context.providers("x"), 'does not declare that it collects "x"'],
    [() => context.char("c"), 'declares no char backend "c"'],
    [() => context.block("b"), 'declares no block backend "b"'],
    [() => context.net("n"), 'declares no net backend "n"'],
    [() => context.display("d"), 'declares no display backend "d"'],
    [() => context.inputs("i"), 'declares no input backend "i"'],
    [() => context.event("e"), 'declares no event "e"'],
    [() => context.exit(0), "does not declare that it exits"],
    [() => context.survey(), "does not declare that it surveys"],
    [() => context.ports.read(0, 1), "does not declare that it uses ports"],
    [() => context.ports.write(0, 1, 0), "does not declare that it uses ports"],
  ];
  for (const [ask, message] of refusals) {
    const error = assertThrows(ask, Error, message);
    assertEquals(error.message.startsWith('device "bare" (nothing): '), true);
  }
});

Deno.test("what comes before the machine is switched on: bytes wait, keys are lost", async () => {
  const requests = {
    ready: Promise.withResolvers<void>(),
    isReady: false,
  };
  let send: (bytes: Uint8Array) => unknown = () => {};
  let press: (event: InputEvent) => unknown = () => {};
  const done = () => Promise.resolve();
  const char = gatedChar({
    write: () => {},
    onInput: (receiver) => send = receiver,
    flush: done,
    close: done,
  }, requests);
  const input = gatedInput({
    onEvent: (receiver) => press = receiver,
    close: done,
  }, requests);
  const bytes: number[] = [], keys: InputEvent[] = [];
  char.onInput((more) => {
    bytes.push(...more);
  });
  input.onEvent((event) => {
    keys.push(event);
  });
  const key: InputEvent = { type: "key", code: "KeyA", down: true };
  const sent = send(Uint8Array.of(1, 2));
  press(key);
  assertEquals([bytes, keys], [[], []]);
  requests.isReady = true;
  requests.ready.resolve();
  await sent;
  press(key);
  assertEquals([bytes, keys], [[1, 2], [key]]);
});

Deno.test("what a device writes to memory, the CPU hears of", () => {
  const stored = new Uint8Array(16), told: number[][] = [];
  const space = {
    readBytes: (at: number, into: Uint8Array) =>
      into.set(stored.subarray(at, at + into.length)),
    writeBytes: (at: number, bytes: Uint8Array) => stored.set(bytes, at),
  } as unknown as AddressSpace;
  const building: { cpu?: CpuCore } = {};
  const port = dmaPort(space, () => building.cpu);
  port.write(4, Uint8Array.of(7));
  building.cpu = {
    invalidate: (at: number, length: number) => told.push([at, length]),
  } as unknown as CpuCore;
  port.write(4, Uint8Array.of(8, 9));
  assertEquals(told, [[4, 2]]);
  const back = new Uint8Array(2);
  port.read(4, back);
  assertEquals(back, Uint8Array.of(8, 9));
});
