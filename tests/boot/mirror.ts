/**
 * A mirror of a few of Debian's packages at 127.0.0.1, for a guest's apt: the
 * host's apt fetches them, and the index is signed with a key of the mirror's
 * own. A guest in the network `user` finds it at 10.0.2.2.
 *
 * The formats are those of https://wiki.debian.org/DebianRepository/Format.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { join } from "@std/path";
import type { Need } from "./firmware.ts";

/** What making a mirror needs. */
export const MIRROR: readonly Need[] = [
  { what: "apt-get", in: "apt" },
  { what: "dpkg-deb", in: "dpkg" },
  { what: "gpg", in: "gpg" },
];

const NAME = "Rhea's mirror <mirror@rhea.invalid>";

async function output(
  program: string,
  args: readonly string[],
  options: Deno.CommandOptions = {},
): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, {
    args: [...args],
    stdin: "null",
    ...options,
  }).output();
  const text = new TextDecoder();
  if (!success) throw new Error(`${program}: ${text.decode(stderr)}`);
  return text.decode(stdout);
}

function sha256(bytes: Uint8Array | string): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** A package's paragraph in the index. */
async function paragraph(folder: string, name: string): Promise<string> {
  const path = join(folder, name);
  const control = (await output("dpkg-deb", ["-f", path])).trimEnd();
  const bytes = await Deno.readFile(path);
  return `${control}
Filename: ./${name}
Size: ${bytes.length}
SHA256: ${sha256(bytes)}
`;
}

/** The files of a mirror, and the server that gives them. */
export class Mirror {
  /** The paths that were asked for. */
  readonly asked: string[] = [];
  readonly #folder: string;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  private constructor(folder: string) {
    this.#folder = folder;
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen() {} },
      (request) => this.#answer(request),
    );
  }

  /** A mirror of packages (as `apt-get download` takes them) in `folder`. */
  static async of(
    packages: readonly string[],
    folder: string,
  ): Promise<Mirror> {
    // As this user: the one that apt would take cannot write here.
    const unconfined = ["-o", "APT::Sandbox::User=root"];
    await output("apt-get", [...unconfined, "download", ...packages], {
      cwd: folder,
    });
    const paragraphs: string[] = [];
    for await (const { name } of Deno.readDir(folder)) {
      if (!name.endsWith(".deb")) continue;
      paragraphs.push(await paragraph(folder, name));
    }
    const index = paragraphs.join("\n");
    await Deno.writeTextFile(join(folder, "Packages"), index);
    const release = join(folder, "Release");
    await Deno.writeTextFile(
      release,
      `Origin: Rhea
Suite: stable
Architectures: amd64
Date: ${new Date().toUTCString()}
SHA256:
 ${sha256(index)} ${new TextEncoder().encode(index).length} Packages
`,
    );
    await sign(folder, release);
    return new Mirror(folder);
  }

  /** Where a guest in the network `user` finds it. */
  get url(): string {
    return `http://10.0.2.2:${this.#server.addr.port}`;
  }

  async #answer(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    // apt writes "+" as "%2b", and "%" as "%25": an epoch is "%3a" in a name.
    const path = pathname.slice(1).replaceAll(
      /%2[b5]/gi,
      (code) => decodeURIComponent(code),
    );
    this.asked.push(path);
    // No path leads out of the folder.
    const isFile = /^[\w+~.%-]+$/.test(path) && !path.startsWith(".");
    const bytes = isFile
      ? await Deno.readFile(join(this.#folder, path)).catch(() => undefined)
      : undefined;
    return bytes === undefined
      ? new Response("Not found", { status: 404 })
      : new Response(bytes);
  }

  /** The server ends. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}

/** Make `InRelease` and `key.asc` with a new key. */
async function sign(folder: string, release: string): Promise<void> {
  const home = join(folder, "gpg");
  await Deno.mkdir(home, { mode: 0o700 });
  const gpg = (...args: string[]): Promise<string> =>
    output("gpg", ["--homedir", home, "--batch", "--passphrase", "", ...args]);
  await gpg("--quick-generate-key", NAME, "rsa3072", "sign", "never");
  await gpg("--clearsign", "-o", join(folder, "InRelease"), release);
  const key = join(folder, "key.asc");
  await gpg("--armor", "-o", key, "--export");
  // Else gpg's agent stays until it sees that its folder is gone.
  await output("gpgconf", ["--homedir", home, "--kill", "all"]);
}
