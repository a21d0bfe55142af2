import { assertEquals } from "@std/assert";
import { RoundTrip } from "./round_trip.ts";

Deno.test("round trip: the timeout follows what was measured (RFC 6298, 2)", () => {
  const trip = new RoundTrip();
  assertEquals(trip.timeout, 1000);
  // R = 400: SRTT 400, RTTVAR 200.
  trip.sample(400);
  assertEquals(trip.timeout, 400 + 4 * 200);
  // R = 480: RTTVAR 0.75 * 200 + 0.25 * 80 = 170, SRTT 410.
  trip.sample(480);
  assertEquals(trip.timeout, 410 + 4 * 170);
  for (let i = 0; i < 100; i++) trip.sample(1);
  assertEquals(trip.timeout, 200, "the least");
});

Deno.test("round trip: it doubles with each timeout, up to a minute", () => {
  const trip = new RoundTrip();
  const timeouts: number[] = [];
  for (let i = 0; i < 8; i++) {
    timeouts.push(trip.timeout / 1000);
    trip.back();
  }
  assertEquals(timeouts, [1, 2, 4, 8, 16, 32, 60, 60]);
  for (let i = 0; i < 2000; i++) trip.back();
  assertEquals(trip.timeout, 60_000);
  // Something new has come, though nothing was measured.
  trip.end(1, 0);
  assertEquals(trip.timeout, 1000);
});

Deno.test("round trip: one segment is timed at once, and none that is sent twice", () => {
  const measured = (act: (trip: RoundTrip) => void): number => {
    const trip = new RoundTrip();
    trip.begin(100, 0);
    act(trip);
    trip.end(101, 400);
    return trip.timeout;
  };
  assertEquals(measured(() => {}), 1200);
  assertEquals(measured((trip) => trip.begin(90, 300)), 1200);
  assertEquals(measured((trip) => trip.end(100, 100)), 1200, "not yet");
  // Whether the first or the second was acknowledged, nobody knows (Karn).
  assertEquals(measured((trip) => trip.back()), 1000);
  assertEquals(measured((trip) => trip.cancel()), 1000);
  // Numbers wrap.
  const trip = new RoundTrip();
  trip.begin(0x7fff_ffff, 0);
  trip.end(-0x8000_0000, 400);
  assertEquals(trip.timeout, 1200);
});
