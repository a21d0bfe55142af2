/**
 * Small guests that drive the APICs and the HPET of `machines/pc.json`; QEMU's
 * `pc` shows the same guests the same.
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { Machine } from "../../core/machine/machine.ts";
import { PciFunction } from "../../core/bus/pci_function.ts";
import type { DevicePlugin } from "../../core/machine/plugin.ts";
import { PLUGINS } from "../../machines/registry.ts";
import { assemble, multiboot } from "../faults/guest.ts";
import {
  APIC_BASE_GUEST,
  CARD_GUEST,
  DEADLINE_GUEST,
  LINT1_GUEST,
  LOCAL_APIC_GUEST,
  MESSAGE_GUEST,
} from "./apic_guest.ts";
import { BEGIN, END } from "./apic_asm.ts";
import { apicGuest } from "./apic_random.ts";
import {
  HPET_GUEST,
  IO_APIC_GUEST,
  STORM_GUEST,
  TICKS_GUEST,
} from "./apic_io_guest.ts";
import { PRELUDE, PRINT } from "./asm.ts";
import { qemuOutput } from "../qemu.ts";
import { Random } from "../random.ts";

const PC = new URL("../../machines/pc.json", import.meta.url).pathname;
const ISAPC = new URL("../../machines/isapc.json", import.meta.url).pathname;
const LIMIT_MS = 20_000;

/** The card that `CARD_GUEST` drives. */
const card: DevicePlugin = {
  type: "device",
  name: "card",
  version: "1",
  uses: { bus: "pci-bus" },
  create(_config, context) {
    const pci = new PciFunction(context, { slot: 3, function: 0 }, {
      vendor: 0x1234,
      device: 0x5678,
      classCode: 0xff0000,
      interruptPin: 1,
      msi: { offset: 0x50, vectors: 1 },
      registers: [{ offset: 0x70, reset: [0], writable: [0xff] }],
    }, (offset) => {
      if (offset !== 0x70) return;
      pci.setIntx((pci.byte(0x70) & 1) !== 0);
      if ((pci.byte(0x70) & 2) !== 0) pci.notify(0);
    });
    return {
      reset: () => pci.adopt(pci.fresh()),
      save: () => ({}),
      load() {},
    };
  },
};

/** What a guest prints on Rhea, on a definition changed by `set`. */
async function onRhea(
  kernel: string,
  set: readonly string[] = [],
  definition = PC,
): Promise<string> {
  await using machine = await Machine.load(definition, {
    kernel,
    memory: "16M",
    set,
    plugins: {
      ...PLUGINS,
      device: {
        ...PLUGINS.device,
        card: () => Promise.resolve({ default: card }),
      },
    },
  });
  const limit = setTimeout(() => void machine.stop(), LIMIT_MS);
  await machine.run();
  clearTimeout(limit);
  return machine.serial(0).output;
}

const TCG = "-accel tcg -cpu pentium3";
/** A guest whose every access to a device leaves KVM, on a busy host. */
const KVM_LIMIT_MS = 300_000;
const KVM = "-accel kvm -cpu qemu32,+x2apic,+tsc-deadline";

/** The same on QEMU; undefined where it is not installed. */
function onQemu(
  kernel: string,
  cpu = TCG,
  limit = LIMIT_MS,
): Promise<string | undefined> {
  const args = `-M pc ${cpu} -m 16 -nodefaults ` +
    "-display none -serial stdio -no-reboot " +
    `-global hpet.msi=on -device isa-debug-exit,iobase=0xf4,iosize=1 -kernel ${kernel}`;
  return qemuOutput(args.split(" "), limit);
}

/** Use a guest as a kernel; not called where nasm is not installed. */
async function withKernel(
  source: string,
  use: (kernel: string) => Promise<void>,
): Promise<void> {
  const code = await assemble(source);
  if (code === undefined) {
    console.log("skipped: nasm is not installed");
    return;
  }
  const path = await Deno.makeTempFile();
  try {
    await Deno.writeFile(path, multiboot(code));
    await use(path);
  } finally {
    await Deno.remove(path);
  }
}

/**
 * Run a guest on both machines and compare what it prints, but for what QEMU
 * has otherwise.
 */
async function compare(
  source: string,
  [inQemu, here]: readonly [string, string] = ["", ""],
): Promise<void> {
  await withKernel(source, async (kernel) => {
    const rhea = await onRhea(kernel);
    assertMatch(rhea, /\nEND\n$/);
    const qemu = await onQemu(kernel);
    if (qemu === undefined) {
      console.log("skipped in part: qemu-system-i386 is not installed");
      return;
    }
    assert(qemu.includes(inQemu));
    assertEquals(rhea, qemu.replace(inQemu, here));
  });
}

Deno.test("local APIC: a guest sees the same on Rhea and on QEMU", async () => {
  // While it is disabled, all LVT entries are masked (SDM 10.4.7.2).
  await compare(LOCAL_APIC_GUEST, [
    "disabled: 00000700 ",
    "disabled: 00010700 ",
  ]);
});

Deno.test("I/O APIC: a guest sees the same on Rhea and on QEMU", async () => {
  await compare(IO_APIC_GUEST);
});

Deno.test("HPET: a guest sees the same on Rhea and on QEMU", async () => {
  await compare(HPET_GUEST);
});

for (const seed of [1, 2, 3]) {
  Deno.test(`local APIC: at random, as on QEMU, seed ${seed}`, async () => {
    // QEMU's entries of the vector table are not masked when it is disabled.
    await compare(apicGuest(new Random(seed), {
      x2apic: false,
      interrupts: true,
      priorities: 0xff,
      disables: false,
      steps: 300,
    }));
  });
}

/** Whether QEMU can use KVM here; asked once. */
let kvm: Promise<boolean> | undefined;
async function hasKvm(): Promise<boolean> {
  let found = false;
  await withKernel(`${BEGIN}${END}`, async (kernel) => {
    found = /END\n$/.test(await onQemu(kernel, KVM) ?? "");
  });
  return found;
}

for (const x2apic of [false, true]) {
  const mode = x2apic ? "x2APIC" : "xAPIC";
  Deno.test(`local APIC: at random in ${mode} mode, as on KVM`, async () => {
    if (!await (kvm ??= hasKvm())) {
      console.log("skipped: there is no QEMU with KVM");
      return;
    }
    const source = apicGuest(new Random(1), {
      x2apic,
      // Of these, nested KVMs give none or not at once.
      interrupts: false,
      priorities: 0xf0,
      disables: true,
      steps: 100,
    });
    await withKernel(source, async (kernel) => {
      const rhea = await onRhea(kernel, ["cpu.model=max"]);
      assertMatch(rhea, /\nEND\n$/);
      assertEquals(rhea, await onQemu(kernel, KVM, KVM_LIMIT_MS));
    });
  });
}

Deno.test("local APIC: LINT1 passes NMI on as its LVT entry says", async () => {
  await withKernel(LINT1_GUEST, async (kernel) => {
    const set = ['devices.com2.wires.irq="lapic.lint1"'];
    assertEquals(
      await onRhea(kernel, set),
      "masked unmasked nmi by software by hardware nmi \nEND\n",
    );
  });
});

Deno.test("local APIC: IA32_APIC_BASE moves, disables and enables it", async () => {
  await withKernel(APIC_BASE_GUEST, async (kernel) => {
    assertEquals(
      await onRhea(kernel),
      [
        "moved: 00050014 00000020 ffffffff fef00900 41 00000000 00000002 ",
        "over RAM: 00050014 9abcdef0 12345678 ",
        "reserved: #GP #GP ",
        "off: 00000200 00000000 ffffffff 20 00000200 000000ff 00010000 ",
        "END\n",
      ].join("\n"),
    );
  });
});

Deno.test("a machine without a local APIC does not show one", async () => {
  const source = `${PRELUDE}${PRINT}main:
    mov eax, 1
    cpuid
    mov eax, edx
    and eax, 0x200
    call dword_
    mov ecx, 0x1b
    rdmsr
    call dword_
    outb 0xf4, 0`;
  await withKernel(source, async (kernel) => {
    assertEquals(await onRhea(kernel, [], ISAPC), "00000000 fee00100 ");
  });
  await withKernel(LOCAL_APIC_GUEST, async (kernel) => {
    // A 486 has none of its own; what is beside it is not told by CPUID.
    const set = ["cpu.model=486"];
    assertMatch(await onRhea(kernel, set), /^identity: 00000000 00000000 /);
  });
});

Deno.test("a bus master's write of four bytes is a message", async () => {
  await withKernel(MESSAGE_GUEST, async (kernel) => {
    await using machine = await Machine.load(PC, {
      kernel,
      memory: "16M",
      plugins: PLUGINS,
    });
    const serial = machine.serial(0);
    const memory = machine.space("memory");
    await serial.expect("ready\n");
    memory.writeBytes(0xfee00000, new Uint8Array([0x41, 0, 0, 0]));
    await serial.expect(/^41 \n/);
    // To nobody, then to all.
    memory.writeBytes(0xfee05000, new Uint8Array([0x41, 0, 0, 0]));
    memory.writeBytes(0xfeeff000, new Uint8Array([0x45, 0, 0, 0]));
    assertEquals(await serial.expect(/END\n/), "45 \nEND\n");
  });
});

Deno.test("a PCI card interrupts by its pin, as routed, and by messages", async () => {
  await withKernel(CARD_GUEST, async (kernel) => {
    const set = ['devices.card={"plugin":"card","use":{"bus":"pci"}}'];
    assertEquals(
      await onRhea(kernel, set),
      // INTA# of slot 3 is PIRQC, which is on pin 18.
      "pins: 62 62 0000a062 \nrouted: 6b 6b \nmessages: 41 41 \nEND\n",
    );
  });
});

Deno.test("a saved machine goes on with its ticks", async () => {
  await withKernel(TICKS_GUEST, async (kernel) => {
    const options = { kernel, memory: "16M", plugins: PLUGINS };
    const ram = new Uint8Array(16 << 20);
    await using first = await Machine.load(PC, options);
    await first.serial(0).expect("ready\n");
    await first.pause();
    const saved = first.save();
    first.space("memory").readBytes(0, ram);
    await using second = await Machine.load(PC, options);
    second.space("memory").writeBytes(0, ram);
    second.load(saved);
    assertEquals(second.save(), saved);
    const limit = setTimeout(() => void second.stop(), LIMIT_MS);
    await second.run();
    clearTimeout(limit);
    assertEquals(second.serial(0).output, "END\n");
  });
});

Deno.test("local APIC: a deadline is a value of the time stamp counter", async () => {
  await withKernel(DEADLINE_GUEST, async (kernel) => {
    assertEquals(
      await onRhea(kernel, ["cpu.model=max"]),
      "00 00 41 00000000 41 00000001 \nEND\n",
    );
  });
});

Deno.test("timers as fast as they can be set leave the guest its time", async () => {
  await withKernel(STORM_GUEST, async (kernel) => {
    assertEquals(
      await onRhea(kernel, ["cpu.model=max"]),
      "ticks held deadlines END\n",
    );
  });
});
