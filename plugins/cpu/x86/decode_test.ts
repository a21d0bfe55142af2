import { assert, assertEquals } from "@std/assert";
import {
  decode,
  DECODE_LONG,
  DECODE_OK,
  DECODE_SHORT,
  Insn,
} from "./decode.ts";
import { disassemble } from "./disassemble.ts";
import { MAP_VEX, MODRM, ROWS } from "./rows.ts";

function bytes(text: string): Uint8Array {
  return Uint8Array.from(text.split(" "), (x) => parseInt(x, 16));
}

function text(code: string, code32 = true): string {
  return disassemble(bytes(code), 0, 0x1000, code32).text;
}

Deno.test("forms of operands", () => {
  const cases: [string, string][] = [
    ["89 d8", "mov eax,ebx"],
    ["66 89 d8", "mov ax,bx"],
    ["8a 67 ff", "mov ah,byte ptr [edi-0x1]"],
    ["8b 44 8d 10", "mov eax,dword ptr [ebp+ecx*4+0x10]"],
    ["8b 04 25 44 33 22 11", "mov eax,dword ptr ds:0x11223344"],
    ["67 8b 46 02", "mov eax,dword ptr [bp+0x2]"],
    ["64 a1 10 00 00 00", "mov eax,dword ptr fs:0x10"],
    ["f0 0f b1 0b", "lock cmpxchg dword ptr [ebx],ecx"],
    ["f3 a5", "rep movsd es:[edi],ds:[esi]"],
    ["66 f2 ae", "repnz scasb al,es:[edi]"],
    ["0f 84 10 00 00 00", "je 0x1016"],
    ["9a 44 33 22 11 08 00", "call 0x8:0x11223344"],
    ["c8 10 00 02", "enter 0x10,0x2"],
    ["f3 90", "pause"],
    ["0f 0b", "ud2"],
    ["83 c0 ff", "add eax,0xffffffff"],
    ["66 98", "cbw"],
    ["99", "cdq"],
    ["d9 e0", "fchs"],
    ["dc c1", "fadd st(1),st"],
    ["0f 22 d8", "mov cr3,eax"],
    ["f2 0f 10 04 24", "movsd xmm0,qword ptr [esp]"],
    ["66 0f ef c0", "pxor xmm0,xmm0"],
    ["c5 f4 58 c2", "vaddps ymm0,ymm1,ymm2"],
    ["c5 f0 58 40 10", "vaddps xmm0,xmm1,xmmword ptr [eax+0x10]"],
    ["c4 e2 75 90 14 c5 00 10 00 00", "vpgatherdd ymm2,[ymm0*8+0x1000],ymm1"],
    ["c4 e3 69 4a d9 50", "vblendvps xmm3,xmm2,xmm1,xmm5"],
    ["c4 e2 f2 f5 c3", "pext eax,ecx,ebx"],
    ["c5 fc 77", "vzeroall"],
    ["0f 38 00 c1", "pshufb mm0,mm1"],
    ["66 0f 38 20 03", "pmovsxbw xmm0,qword ptr [ebx]"],
    ["66 0f 3a 14 c7 02", "pextrb edi,xmm0,0x2"],
    ["66 0f 3a 20 03 02", "pinsrb xmm0,byte ptr [ebx],0x2"],
    ["66 0f 3a 63 c1 0c", "pcmpistri xmm0,xmm1,0xc"],
    ["f2 0f 38 f0 c4", "crc32 eax,ah"],
    ["66 f2 0f 38 f1 c1", "crc32 eax,cx"],
    ["66 0f 38 f1 03", "movbe word ptr [ebx],ax"],
    ["66 0f 38 f6 c1", "adcx eax,ecx"],
    ["f3 0f b8 c1", "popcnt eax,ecx"],
    ["66 0f c7 f2", "rdrand dx"],
    ["0f 01 f9", "rdtscp"],
  ];
  for (const [code, expected] of cases) assertEquals(text(code), expected);
  assertEquals(text("8b 4e 02", false), "mov cx,word ptr [bp+0x2]");
  assertEquals(text("e9 fd ff", false), "jmp 0x1000");
});

Deno.test("what is undefined", () => {
  for (
    const code of [
      "8d c0", // LEA with a register
      "f0 90", // LOCK where it is not allowed
      "f0 01 d8", // LOCK with a register destination
      "f0 8b 03", // LOCK on a load
      "f0 39 03", // LOCK CMP
      "fe d0",
      "ff f8",
      "8f c8",
      "c6 c8",
      "0f 04",
      "0f 24 c0",
      "0f c7 c8", // CMPXCHG8B with a register
      "0f ae c0", // FXSAVE with a register
      "d9 e2",
      "66 0f 77", // EMMS takes no prefix
      "f0 c5 f4 58 c2", // a VEX prefix after LOCK, 66, F2, F3
      "66 c5 f4 58 c2",
      "f2 c5 f4 58 c2",
      "f3 c5 f4 58 c2",
      "c5 f4 28 c2", // VEX.vvvv where there is no such operand
      "c4 e2 f5 16 c2", // VEX.W where it must be 0
      "c4 e2 71 16 c2", // VEX.L where it must be 1
      "c4 e0 74 58 c2", // opcode map 0
      "0f 38 20 c1", // PMOVSXBW without its prefix
      "f2 0f 38 00 c1", // PSHUFB with another
      "0f 38 f0 c1", // MOVBE from a register
      "f3 0f c7 f0", // RDRAND with a prefix that chooses
    ]
  ) {
    const i = new Insn();
    const code8 = bytes(code);
    assertEquals(decode(i, code8, 0, code8.length, true, false), DECODE_OK);
    assertEquals(i.row.handler, "ud", code);
  }
});

Deno.test("what is undefined in 64-bit mode", () => {
  for (
    const code of [
      "c4 e3 f8 16 c1 00", // VPEXTRQ without 66, with F3, with F2
      "c4 e3 fa 16 c1 00",
      "c4 e3 f3 22 c1 00",
      "82 c0 00",
    ]
  ) {
    const i = new Insn(), code8 = bytes(code);
    decode(i, code8, 0, code8.length, true, true);
    assertEquals(i.row.handler, "ud", code);
  }
});

Deno.test("LES and LDS with a register are undefined where there is no VEX", () => {
  const i = new Insn();
  for (const code of ["c4 c0", "c5 c0"]) {
    assertEquals(
      decode(i, bytes(code), 0, 2, false, false, false),
      DECODE_OK,
    );
    assertEquals([i.row.handler, i.length], ["ud", 2]);
    // With VEX the prefix goes on.
    assertEquals(decode(i, bytes(code), 0, 2, false, false), DECODE_SHORT);
  }
});

Deno.test("length limit and short code", () => {
  const i = new Insn();
  const long = new Uint8Array(32).fill(0x66);
  long[14] = 0x90;
  assertEquals(decode(i, long, 0, 32, true, false), DECODE_OK);
  assertEquals(i.length, 15);
  long[14] = 0x66;
  long[15] = 0x90;
  assertEquals(decode(i, long, 0, 32, true, false), DECODE_LONG);
  const code = bytes("81 84 8d 78 56 34 12 44 33 22 11");
  for (let n = 0; n < code.length; n++) {
    assertEquals(decode(i, code, 0, n, true, false), DECODE_SHORT);
  }
  assertEquals(decode(i, code, 0, code.length, true, false), DECODE_OK);
  assertEquals([i.length, i.disp, i.imm], [11, 0x12345678, 0x11223344]);
});

const objdump = await new Deno.Command("objdump", { args: ["--version"] })
  .output().then((o) => o.success, () => false);

/** Random code, one instruction a slot, the rest NOPs. */
function slots(seed: number): { code: Uint8Array; count: number } {
  let state = seed;
  const random = (n: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return (state >>> 8) % n;
  };
  const keys = ROWS.slice(1);
  const count = 6000;
  const code = new Uint8Array(count * SLOT).fill(0x90);
  for (let n = 0; n < count; n++) {
    const row = keys[n % keys.length];
    const [, vex, w, l, pp, map, digits, inReg, form, inRm] = KEY.exec(
      row.key,
    )!;
    let at = n * SLOT;
    if (pp === undefined && random(4) === 0) code[at++] = 0x66;
    if (random(6) === 0) code[at++] = 0x67;
    const isLong = seed === 64;
    const opcode = parseInt(digits, 16);
    const mapNumber = ["", "0f.", "0f.38.", "0f.3a."].indexOf(map);
    let table = mapNumber;
    if (vex !== undefined) {
      const wide = w === undefined ? random(2) : Number(w);
      const long = l === undefined ? random(2) : Number(l);
      const vvvv = row.usesVvvv ? random(8) : 0;
      table = MAP_VEX + mapNumber - 1 + 3 * wide + 6 * long;
      code[at++] = 0xc4;
      code[at++] = 0xe0 | mapNumber;
      code[at++] = wide << 7 | (~vvvv & 15) << 3 | long << 2 |
        ["np", "66", "f3", "f2"].indexOf(pp);
    } else {
      if (pp !== undefined && pp !== "np") code[at++] = parseInt(pp, 16);
      if (isLong && random(3) !== 0) code[at++] = 0x40 | random(16);
      for (const byte of map.split(".").slice(0, -1)) {
        code[at++] = parseInt(byte, 16);
      }
    }
    code[at++] = opcode;
    if (MODRM[(table << 8) | opcode] !== 0) {
      const mod = form === "r" ? 3 : random(form === "m" ? 3 : 4);
      const reg = inReg === undefined ? random(8) : Number(inReg);
      code[at++] = (mod << 6) | (reg << 3) |
        (inRm === undefined ? random(8) : Number(inRm));
    }
    for (let k = 0; k < 9; k++) code[at++] = random(256);
  }
  return { code, count };
}
const SLOT = 32;
const KEY =
  /^(?:(v)(?:w([01]))?(?:l([01]))?\.)?(?:(np|66|f2|f3)\.)?((?:0f\.(?:3[8a]\.)?)?)([0-9a-f]{2})(?:\/(\d))?([mr])?(?::(\d))?$/;

for (const bits of [16, 32, 64]) {
  Deno.test({
    name: `lengths agree with objdump, ${bits} bits` +
      (objdump ? "" : " (skipped: there is no objdump)"),
    ignore: !objdump,
    fn: async () => {
      const { code, count } = slots(bits);
      const file = await Deno.makeTempFile();
      let output: string;
      try {
        await Deno.writeFile(file, code);
        const { stdout } = await new Deno.Command("objdump", {
          args: [
            "-D",
            "-z",
            "-w",
            "-b",
            "binary",
            "-m",
            { 16: "i8086", 32: "i386", 64: "i386:x86-64" }[bits]!,
            "-M",
            // Of two ISAs the one in which near jumps are always of 64 bits.
            bits === 64 ? "intel,intel64" : "intel",
            file,
          ],
        }).output();
        output = new TextDecoder().decode(stdout);
      } finally {
        await Deno.remove(file);
      }
      const wrong: string[] = [];
      let compared = 0;
      for (
        const m of output.matchAll(/^ *([0-9a-f]+):\t([0-9a-f ]+)\t(.*)$/gm)
      ) {
        const at = parseInt(m[1], 16);
        if (at % SLOT !== 0) continue;
        const theirs = m[3].trim();
        const length = m[2].trim().split(" ").length;
        const [isWide, isLong] = [bits === 32, bits === 64];
        const mine = disassemble(code, at, at, isWide, true, isLong);
        const bad = mine.text === "(bad)" || mine.text.startsWith("ud");
        if (/\(bad\)/.test(theirs) || bad) continue;
        // WAIT and an x87 instruction are one for objdump; a prefix may be one.
        if (mine.text === "fwait" || length === 1 && mine.length > 1) continue;
        if (/^((data16|addr32|rex\S*) ?)+$/.test(theirs)) continue;
        compared++;
        if (length !== mine.length) {
          wrong.push(`${m[2]}: ${theirs} | ${mine.text} (${mine.length})`);
        }
      }
      assertEquals(wrong, []);
      assert(compared > count * 0.8, `only ${compared} of ${count}`);
    },
  });
}
