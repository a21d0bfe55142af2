import { Machine } from "./mod.ts";
import { PLUGINS } from "./machines/registry.ts";
import { withScript } from "./tests/boot/guest.ts";
import { kernelModules } from "./tests/boot/modules.ts";
import inspector from "node:inspector";
const model = Deno.args[0]; const MB = Number(Deno.args[1] ?? 50);
const dev = { e1000: "e1000", virtio: "virtio-net-pci", ne2k: "ne2k-pci" }[model]!;
const mods = { e1000: ["e1000"], virtio: ["virtio_pci", "virtio_net"], ne2k: ["ne2k_pci"] }[model]!;
const kernel = ".cache/guest-i386/linux";
const modules = await kernelModules(kernel, mods);
if (typeof modules === "string") throw new Error(modules);
const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
const up = Deno.listen({ hostname: "127.0.0.1", port: 0 });
(async () => { for await (const c of listener) (async () => { const b = new Uint8Array(65536); await c.read(b); await c.write(new TextEncoder().encode(`HTTP/1.0 200 OK\r\nContent-Length: ${MB << 20}\r\n\r\n`)); for (let i = 0; i < MB << 20;) i += await c.write(b.subarray(0, Math.min(65536, (MB << 20) - i))); c.close(); })(); })();
(async () => { for await (const c of up) (async () => { const b = new Uint8Array(65536); let n = 0; for (;;) { const k = await c.read(b); if (k === null) break; n += k; } await c.write(new TextEncoder().encode(`${n}\n`)); c.close(); })(); })();
const script = `${modules.script}
dmesg -n 1
ip addr add 10.0.2.15/24 dev eth0
ip link set eth0 up
wget -q -O - http://10.0.2.2:${listener.addr.port}/ | wc -c
echo BEGIN
wget -q -O - http://10.0.2.2:${listener.addr.port}/ | tail -c 100 | wc -c
echo MIDDLE
yes abcdefghijklmnopqrstuvwxyz0123456789 | head -c ${MB << 20} | nc 10.0.2.2 ${up.addr.port}
echo FINIS
cat /proc/net/dev | grep eth0
echo all over
sleep 1000`;
await withScript(script, async (initrd) => {
  const m = await Machine.load("machines/pc.json", { kernel, initrd, append: "console=ttyS0", memory: "128M", plugins: PLUGINS, set: [`backends.net0=${JSON.stringify({ plugin: "user" })}`, `devices.net0=${JSON.stringify({ plugin: dev, config: { slot: 3 }, use: { bus: "pci" }, backends: { net: "net0" } })}`] });
  (globalThis as any).mm = m;
  const s = new inspector.Session(); s.connect();
  const post = (a: string, b: object = {}) => new Promise<any>((r, j) => (s as any).post(a, b, (e: unknown, v: unknown) => e ? j(e) : r(v)));
  await m.serial(0).expect(/BEGIN\r\n/, { timeout: 300_000 });
  const opt = { samplingInterval: 8192, includeObjectsCollectedByMinorGC: true, includeObjectsCollectedByMajorGC: true };
  const show = async (what: string) => {
    const { profile } = await post("HeapProfiler.stopSampling");
    const by = new Map<string, number>(); let total = 0;
    const walk = (n: any, up = "") => { const me = `${n.callFrame.functionName} ${n.callFrame.url.split("/").slice(-2).join("/")}:${n.callFrame.lineNumber + 1}`; const k = n.callFrame.url === "" ? `${me} < ${up}` : me; by.set(k, (by.get(k) ?? 0) + n.selfSize); total += n.selfSize; n.children.forEach((c: any) => walk(c, me)); };
    walk(profile.head);
    console.log(`== ${what}: ${(total / 1e6).toFixed(1)} MB for ${MB} MB`);
    for (const [k, v] of [...by].sort((a, b) => b[1] - a[1]).slice(0, 12)) console.log((v / 1e6).toFixed(2).padStart(8), k);
  };
  await post("HeapProfiler.startSampling", opt);
  const t = performance.now();
  await m.serial(0).expect(/MIDDLE\r\n/, { timeout: 300_000 });
  console.log("download", performance.now() - t);
  await show("download");
  await post("HeapProfiler.startSampling", opt);
  await m.serial(0).expect(/FINIS\r\n/, { timeout: 300_000 });
  await show("upload");
  console.log((await m.serial(0).expect(/all over\r\n/, { timeout: 300_000 })).slice(0, 400));
  console.log(m.serial(0).output.slice(-1500));
  await m[Symbol.asyncDispose]();
}, modules.entries);
Deno.exit(0);
