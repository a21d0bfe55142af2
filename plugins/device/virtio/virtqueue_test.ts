import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  type Descriptor,
  DriverQueue,
  GuestRam,
  INDIRECT,
  NEXT,
  WRITE,
} from "../../../tests/devices/virtio_driver.ts";
import { Random } from "../../../tests/random.ts";
import { Virtqueue, VirtqueueError } from "./virtqueue.ts";

const SIZE = 8;
const TABLE = 0x8000;
const DATA = 0x10000;

interface Bench {
  readonly ram: GuestRam;
  readonly queue: Virtqueue;
  readonly driver: DriverQueue;
}

function bench(size = SIZE, features = {}): Bench {
  const ram = new GuestRam(new Uint8Array(0x40000));
  const driver = new DriverQueue(ram.bytes, size, 0x1000);
  const queue = new Virtqueue(Math.max(size, SIZE), ram, {
    indirect: true,
    eventIndex: false,
    ...features,
  });
  queue.resize(size);
  queue.setAddress("desc", 0, driver.place.desc);
  queue.setAddress("driver", 0, driver.place.driver);
  queue.setAddress("device", 0, driver.place.device);
  queue.state.ready = true;
  for (let i = 0; i < 0x1000; i++) ram.bytes[DATA + i] = i * 7;
  return { ram, queue, driver };
}

/** Offer a chain and take it. */
function pop({ queue, driver }: Bench, descriptors: readonly Descriptor[]) {
  driver.offer(driver.chain(descriptors));
  return queue.pop()!;
}

Deno.test("virtqueue: a chain is bytes to read, then bytes to write", () => {
  const b = bench();
  const chain = pop(b, [
    { address: DATA, length: 3 },
    { address: DATA + 0x100, length: 0 },
    { address: DATA + 0x200, length: 5 },
    { address: DATA + 0x800, length: 2, flags: WRITE },
    { address: DATA + 0x900, length: 0, flags: WRITE },
    { address: DATA + 0xa00, length: 4, flags: WRITE },
  ]);
  assertEquals([chain.readable, chain.writable], [8, 6]);
  const data = (at: number, length: number): number[] => [
    ...b.ram.bytes.subarray(DATA + at, DATA + at + length),
  ];
  const all = [...data(0, 3), ...data(0x200, 5)];
  // Every part of it, and no more than there is.
  for (let from = 0; from <= 9; from++) {
    for (let length = 0; length <= 9; length++) {
      const into = new Uint8Array(length);
      const expected = all.slice(from, from + length);
      assertEquals(chain.read(from, into), expected.length);
      assertEquals([...into.subarray(0, expected.length)], expected);
    }
  }
  const before = data(0x7f0, 0x300);
  assertEquals(chain.write(1, new Uint8Array([1, 2, 3])), 3);
  assertEquals(chain.write(5, new Uint8Array([4, 5, 6])), 1);
  before.splice(0x801 - 0x7f0, 1, 1);
  before.splice(0xa00 - 0x7f0, 4, 2, 3, before[0xa02 - 0x7f0], 4);
  assertEquals(data(0x7f0, 0x300), before);
  assertEquals(b.queue.pop(), undefined);
});

Deno.test("virtqueue: indirect descriptors, alone or at a chain's end", () => {
  const b = bench();
  const segments = [
    { address: DATA, length: 16 },
    { address: DATA + 16, length: 32, flags: WRITE },
  ];
  b.driver.offer(b.driver.indirect(segments, TABLE));
  const chain = b.queue.pop()!;
  assertEquals([chain.head, chain.readable, chain.writable], [0, 16, 32]);
  const second = pop(b, [
    { address: DATA, length: 4 },
    { address: TABLE, length: 32, flags: INDIRECT },
  ]);
  assertEquals([second.readable, second.writable], [20, 32]);
  // A table may be as long as the greatest queue.
  const long = Array.from({ length: SIZE }, (_, i) => ({
    address: DATA + i,
    length: 1,
  }));
  b.driver.offer(b.driver.indirect(long, TABLE + 0x100));
  assertEquals(b.queue.pop()!.readable, SIZE);
});

/** What no driver may do: what it does, and what is said of it. */
type Breach = readonly [
  name: string,
  message: string,
  act: (b: Bench) => void,
  features?: Record<string, boolean>,
];
const BROKEN: readonly Breach[] = [
  ["a descriptor that is its own next", "a chain that loops", ({ driver }) => {
    driver.describe(0, { address: DATA, length: 1, flags: NEXT, next: 0 });
    driver.offer(0);
  }],
  ["a loop through all descriptors", "a chain that loops", ({ driver }) => {
    for (let i = 0; i < SIZE; i++) {
      const next = (i + 1) % SIZE;
      driver.describe(i, { address: DATA, length: 1, flags: NEXT, next });
    }
    driver.offer(3);
  }],
  ["a loop in a table", "a chain that loops", ({ driver }) => {
    const one = { address: DATA, length: 1, flags: NEXT };
    driver.describe(0, { ...one, next: 1 }, TABLE);
    driver.describe(1, { ...one, next: 0 }, TABLE);
    driver.offer(
      driver.chain([{ address: TABLE, length: 32, flags: INDIRECT }]),
    );
  }],
  ["a head beyond the table", "a descriptor beyond its table", ({ driver }) => {
    driver.offer(SIZE);
  }],
  ["a next beyond the table", "a descriptor beyond its table", ({ driver }) => {
    driver.describe(0, { address: DATA, length: 1, flags: NEXT, next: 0xffff });
    driver.offer(0);
  }],
  [
    "a next beyond an indirect table",
    "a descriptor beyond its table",
    ({ driver }) => {
      const descriptor = { address: DATA, length: 1, flags: NEXT, next: 2 };
      driver.describe(0, descriptor, TABLE);
      driver.offer(
        driver.chain([{ address: TABLE, length: 32, flags: INDIRECT }]),
      );
    },
  ],
  ["a table in a table", "a table within a table", ({ driver }) => {
    const inner = { address: TABLE, length: 16, flags: INDIRECT };
    driver.offer(driver.indirect([inner], TABLE));
  }],
  [
    "a table and a next",
    "an indirect descriptor with a next one",
    ({ driver }) => {
      const table = { address: TABLE, length: 16, flags: INDIRECT };
      driver.offer(driver.chain([table, { address: DATA, length: 1 }]));
    },
  ],
  ...[0, 15, 24, 16 * (SIZE + 1)].map((length): Breach => [
    `a table of ${length} bytes`,
    "an indirect table of no valid length",
    ({ driver }: Bench) =>
      driver.offer(
        driver.chain([{ address: TABLE, length, flags: INDIRECT }]),
      ),
  ]),
  [
    "a table that is not negotiated",
    "an indirect descriptor that is not negotiated",
    ({ driver }) =>
      driver.offer(driver.indirect([{ address: DATA, length: 1 }], TABLE)),
    { indirect: false },
  ],
  [
    "read behind write",
    "a readable descriptor behind a writable one",
    ({ driver }) =>
      driver.offer(driver.chain([
        { address: DATA, length: 1, flags: WRITE },
        { address: DATA, length: 1 },
      ])),
  ],
  [
    "read behind an empty write",
    "a readable descriptor behind a writable one",
    ({ driver }) =>
      driver.offer(driver.chain([
        { address: DATA, length: 0, flags: WRITE },
        { address: DATA, length: 1 },
      ])),
  ],
  ...[2 ** 52, 2 ** 52 - 1, 2 ** 63].map((address): Breach => [
    `an address ${address.toString(16)}`,
    "a descriptor with a wild address",
    ({ driver }: Bench) => driver.offer(driver.chain([{ address, length: 2 }])),
  ]),
  [
    "more than 4 GiB",
    "a chain of more than 4 GiB",
    ({ driver }) => {
      const most = { address: DATA, length: 0xffffffff };
      driver.offer(driver.chain([most, { address: DATA, length: 2 }]));
    },
  ],
  [
    "an index that jumps",
    "an available index that jumps",
    ({ driver }) => driver.showAvailable(SIZE + 1),
  ],
  [
    "an index that goes back",
    "an available index that jumps",
    ({ driver }) => driver.showAvailable(0xffff),
  ],
  [
    "a table beyond all addresses",
    "a queue with a wild address",
    ({ queue }) => queue.setAddress("device", 1, 1 << 20),
  ],
  ...[2 ** 20 - 1, 2 ** 20].map((high): Breach => [
    `a queue at ${high.toString(16)}fffffffc`,
    "a queue with a wild address",
    ({ queue }) => {
      queue.setAddress("desc", 0, 0xfffffffc);
      queue.setAddress("desc", 1, high);
    },
  ]),
  [
    "an indirect table at the end of all addresses",
    "a descriptor with a wild address",
    ({ driver }) =>
      driver.offer(
        driver.chain([{ address: 2 ** 52 - 8, length: 16, flags: INDIRECT }]),
      ),
  ],
  [
    "a chain that is offered again and again",
    "more chains than the queue has descriptors",
    ({ queue, driver }) => {
      driver.chain([{ address: DATA, length: 1 }]);
      for (let i = 0; i < SIZE; i++) {
        driver.offer(0);
        assert(queue.pop() !== undefined);
      }
      driver.offer(0);
    },
  ],
];

for (const [name, message, act, features] of BROKEN) {
  Deno.test(`virtqueue: refuses ${name}`, () => {
    const b = bench(SIZE, features);
    act(b);
    assertThrows(() => b.queue.pop(), VirtqueueError, message);
    assertEquals(b.ram.outside, 0);
  });
}

Deno.test("virtqueue: rings that are nowhere read as ones", () => {
  const b = bench();
  b.queue.setAddress("driver", 0, 0xfffff000);
  assertThrows(() => b.queue.pop(), VirtqueueError, "jumps");
  const c = bench();
  c.queue.setAddress("desc", 1, 0xff);
  c.driver.offer(0);
  assertThrows(() => c.queue.pop(), VirtqueueError);
});

Deno.test("virtqueue: a queue that was moved away is not written to", () => {
  const b = bench();
  const chain = pop(b, [{ address: DATA, length: 1, flags: WRITE }]);
  b.queue.setAddress("device", 1, 0xffffffff);
  const { count } = b.ram;
  b.queue.push(chain, 1);
  assertEquals(b.queue.publish(), false);
  assertEquals(b.ram.count, count);
});

Deno.test("virtqueue: sizes are powers of two up to the greatest", () => {
  const { queue } = bench();
  queue.resize(4);
  for (const size of [0, 3, 6, 16, 0x8000, -4]) queue.resize(size);
  assertEquals(queue.state.size, 4);
});

Deno.test("virtqueue: chains come back in any order, and indices wrap", () => {
  const b = bench(4);
  const { queue, driver } = b;
  const random = new Random(3);
  const held: ReturnType<Virtqueue["pop"]>[] = [];
  for (let i = 0; i < 4; i++) {
    driver.describe(i, { address: DATA + i, length: 1, flags: WRITE });
  }
  const idle = [0, 1, 2, 3];
  let returned = 0;
  for (let step = 0; returned < 70_000; step++) {
    while (idle.length > 0 && random.below(3) > 0) driver.offer(idle.pop()!);
    for (let chain = queue.pop(); chain; chain = queue.pop()) held.push(chain);
    const expected: { id: number; length: number }[] = [];
    while (held.length > 0 && random.below(3) > 0) {
      const [chain] = held.splice(random.below(held.length), 1);
      const length = random.below(1000);
      expected.push({ id: chain!.head, length });
      queue.push(chain!, length);
    }
    assertEquals(driver.take(), [], "nothing is seen before it is published");
    queue.publish();
    const taken = driver.take();
    assertEquals(taken, expected);
    idle.push(...taken.map(({ id }) => id));
    returned += taken.length;
    const inFlight = held.map((chain) => chain!.head).sort();
    assertEquals([...queue.state.inFlight].sort(), inFlight);
  }
});

Deno.test("virtqueue: interrupts by the flag", () => {
  const b = bench();
  for (const flags of [0, 1]) {
    b.driver.setFlags(flags);
    b.queue.push(pop(b, [{ address: DATA, length: 1 }]), 0);
    assertEquals(b.queue.publish(), flags === 0);
    assertEquals(b.queue.publish(), false, "nothing is new");
  }
});

Deno.test("virtqueue: interrupts by the event index", () => {
  // An interrupt is wanted when the element at the index is among the new ones.
  for (const start of [0, 5, 0xfffc]) {
    for (let event = start - 3; event < start + 8; event++) {
      for (let count = 1; count <= 4; count++) {
        const b = bench(SIZE, { eventIndex: true });
        b.queue.adopt({
          ...b.queue.state,
          next: start,
          used: start,
          published: start,
        });
        b.driver.available = start;
        for (let i = 0; i < count; i++) {
          b.driver.setUsedEvent(0x1234);
          b.queue.push(pop(b, [{ address: DATA, length: 1 }]), 0);
        }
        b.driver.setUsedEvent(event & 0xffff);
        const isNew = event >= start && event < start + count;
        assertEquals(b.queue.publish(), isNew, `${start} ${event} ${count}`);
      }
    }
  }
});

Deno.test("virtqueue: an empty queue asks for the next notification", () => {
  const b = bench(SIZE, { eventIndex: true });
  for (let i = 0; i < 3; i++) {
    b.queue.push(pop(b, [{ address: DATA, length: 1 }]), 0);
    assertEquals(b.driver.availableEvent, 0);
  }
  assertEquals(b.queue.pop(), undefined);
  assertEquals(b.driver.availableEvent, 3);
  const without = bench();
  without.queue.push(pop(without, [{ address: DATA, length: 1 }]), 0);
  assertEquals(without.queue.pop(), undefined);
  assertEquals(without.driver.availableEvent, 0);
});

Deno.test("virtqueue: chains that were taken can be put back", () => {
  const b = bench(SIZE, { eventIndex: true });
  for (let i = 0; i < SIZE + 3; i++) {
    b.queue.push(pop(b, [{ address: DATA, length: 1 }]), 0);
  }
  const heads = [5, 6].map((length) =>
    b.driver.chain([{ address: DATA, length }])
  );
  b.driver.offer(...heads);
  const taken = [b.queue.pop()!, b.queue.pop()!];
  assertEquals(b.queue.pop(), undefined);
  for (const chain of taken.reverse()) b.queue.untake(chain);
  assertEquals([b.queue.available(), b.queue.state.inFlight], [2, []]);
  // The driver still notifies of what comes behind them.
  assertEquals(b.driver.availableEvent, SIZE + 5);
  const again = [b.queue.pop()!, b.queue.pop()!];
  assertEquals(again.map(({ head }) => head), heads);
  assertEquals(again.map(({ readable }) => readable), [5, 6]);
});

Deno.test("virtqueue: more chains than there are can be waited for", () => {
  const b = bench(SIZE, { eventIndex: true });
  assertEquals([b.queue.available(), b.queue.listen()], [0, 0]);
  const head = b.driver.chain([{ address: DATA, length: 1 }]);
  b.driver.offer(head, head);
  assertEquals([b.queue.listen(), b.driver.availableEvent], [2, 2]);
  b.queue.state.ready = false;
  assertEquals([b.queue.available(), b.queue.listen()], [0, 0]);
  b.queue.state.ready = true;
  b.driver.showAvailable(SIZE + 1);
  assertThrows(() => b.queue.available(), VirtqueueError, "jumps");
  b.queue.setAddress("driver", 1, 2 ** 31);
  assertThrows(() => b.queue.listen(), VirtqueueError, "wild");
});

Deno.test("virtqueue: the legacy layout is that of vring_init", () => {
  // Sizes in bytes from the specification's own macro (2.7.2), by queue size.
  for (
    const [size, driver, device] of [
      [256, 0x1000, 0x2000],
      [128, 0x800, 0x1000],
      [8, 0x80, 0x1000],
      [1024, 0x4000, 0x5000],
    ]
  ) {
    const ram = new GuestRam(new Uint8Array(0x10000));
    const features = { indirect: false, eventIndex: false };
    const queue = new Virtqueue(size, ram, features);
    queue.setPage(0x12345);
    assertEquals(queue.page, 0x12345);
    const base = 0x12345000;
    assertEquals(queue.state.desc, [base, 0]);
    assertEquals(queue.state.driver, [base + driver, 0]);
    assertEquals(queue.state.device, [base + device, 0]);
    assertEquals(queue.state.ready, true);
    queue.setPage(0xffffffff);
    assertEquals(queue.state.desc, [0xfffff000, 0xfff]);
    queue.setPage(0);
    assertEquals([queue.page, queue.state.ready], [0, false]);
    assertEquals(queue.pop(), undefined);
  }
});
