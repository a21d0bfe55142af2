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
const RETURN = 0xff0d;

const folder = await Deno.makeTempDir();
const compiled = await compileViewer(folder);
globalThis.addEventListener("unload", () => {
  Deno.removeSync(folder, { recursive: true });
});

/** Whether pixels are the same; their fourth byte is nothing's. */
function sameColours(a: Uint8Array, b: Uint8Array): boolean {
  return a.every((byte, i) => i % 4 === 3 || byte === b[i]);
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
      await fast.type(TYPED);
      await fast.stroke(RETURN);
      const answer = await serial.expect(/typed .*\r\n/, PATIENCE);
      assertEquals(answer.split("typed ")[1], `${TYPED}\r\n`);
      // The cursor blinks: they are the same when both have seen the same.
      for (let n = 0;; n++) {
        const [shot, other] = [await plain.shot(), await fast.shot()];
        assertEquals([other.width, other.height], [shot.width, shot.height]);
        if (sameColours(shot.bytes, other.bytes)) break;
        assert(n < 100, "the viewers see different screens");
      }
    } finally {
      for (const viewer of viewers) await viewer.stop();
      await machine.stop();
    }
  });
});
