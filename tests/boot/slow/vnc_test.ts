/**
 * A VNC viewer that we did not write types into Linux, and sees what another
 * one sees in another encoding.
 */

import { assert, assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { Machine } from "../../../mod.ts";
import { freePort } from "../../vnc/free_port.ts";
import { compileViewer, NativeViewer } from "../../vnc/native_viewer.ts";
import { boot, PATIENCE, withScript } from "../guest.ts";

const ISAPC = fromFileUrl(
  new URL("../../../machines/isapc.json", import.meta.url),
);

const SESSION = `mount -t devtmpfs none /dev
dmesg -n 1
printf '\\033[2J\\033[H\\033[1;31mready\\033[0m: ' > /dev/tty1
echo ready
read line < /dev/tty1
echo "typed $line"
sleep 100000`;

const TYPED = 'Hello, World! ~/x_"y" {7} | z';
const SHIFT = 0xffe1;
const RETURN = 0xff0d;

const folder = await Deno.makeTempDir();
const compiled = await compileViewer(folder);
globalThis.addEventListener("unload", () => {
  Deno.removeSync(folder, { recursive: true });
});

/** Whether a US keyboard needs Shift for a character. */
function isShifted(character: string): boolean {
  return /[A-Z~!@#$%^&*()_+{}|:"<>?]/.test(character);
}

/** Whether pixels are the same; their fourth byte is nothing's. */
function sameColours(a: Uint8Array, b: Uint8Array): boolean {
  return a.every((byte, i) => i % 4 === 3 || byte === b[i]);
}

async function typeLine(viewer: NativeViewer, text: string): Promise<void> {
  const stroke = async (keysym: number): Promise<void> => {
    await viewer.key(keysym, true);
    await viewer.key(keysym, false);
  };
  for (const character of text) {
    const shift = isShifted(character);
    if (shift) await viewer.key(SHIFT, true);
    await stroke(character.charCodeAt(0));
    if (shift) await viewer.key(SHIFT, false);
  }
  await stroke(RETURN);
}

boot("a VNC viewer types into Linux and sees its screen", async (guest) => {
  if (typeof compiled === "string") {
    console.log(`skipped: ${compiled}`);
    return;
  }
  const port = freePort();
  await withScript(SESSION, async (initrd) => {
    const machine = await Machine.load(ISAPC, {
      kernel: guest.kernel,
      initrd,
      append: "console=ttyS0",
      memory: "128M",
      display: `vnc=127.0.0.1::${port},password=opensesa`,
    });
    const viewers: NativeViewer[] = [];
    const view = async (encodings: string): Promise<NativeViewer> => {
      const viewer = await NativeViewer.start(compiled.program, {
        ...{ port, encodings, password: "opensesa" },
      });
      if (viewer === undefined) throw new Error("refused");
      viewers.push(viewer);
      return viewer;
    };
    try {
      const serial = machine.serial(0);
      const fast = await view("copyrect zrle");
      await serial.expect("ready\r\n", PATIENCE);
      const plain = await view("raw");
      await typeLine(fast, TYPED);
      const answer = await serial.expect(/typed .*\r\n/, PATIENCE);
      assertEquals(answer.split("typed ")[1], `${TYPED}\r\n`);
      // The cursor blinks: they are the same when both have seen the same.
      const shot = await plain.shotWhen(({ bytes }) =>
        bytes.some((byte, i) => byte !== 0 && i % 4 !== 3)
      );
      let seen = await fast.shot();
      for (let n = 0; n < 100; n++) {
        const other = await plain.shot();
        seen = await fast.shot();
        if (sameColours(seen.bytes, other.bytes)) break;
        assert(n < 99, "the viewers see different screens");
      }
      assertEquals([seen.width, seen.height], [shot.width, shot.height]);
    } finally {
      for (const viewer of viewers) await viewer.stop();
      await machine.stop();
    }
  });
});
