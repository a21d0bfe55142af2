/**
 * QEMU's own Python package for QMP, with `qmp-shell` in it: from Debian's
 * source package of QEMU, for no binary package has it.
 *
 * @module
 */

import { fromFileUrl, join } from "@std/path";

const CACHE = fromFileUrl(
  new URL("../../.cache/qemu-python", import.meta.url),
);
/** The source of every Debian has it in this folder. */
const PACKAGE = "qemu";

/** Run a program; gives back what it prints. Throws when it fails. */
async function output(
  program: string,
  args: readonly string[],
  cwd?: string,
): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, {
    args: [...args],
    cwd,
  }).output();
  const decoder = new TextDecoder();
  if (!success) throw new Error(`${program}: ${decoder.decode(stderr)}`);
  return decoder.decode(stdout);
}

/** Lines for APT's list of sources: where this host's packages are from. */
async function sources(): Promise<string> {
  const targets = await output("apt-get", [
    "indextargets",
    "--format",
    "$(CREATED_BY) $(LABEL) $(SITE) $(RELEASE) $(COMPONENT)",
  ]);
  const lines = targets.split("\n")
    .filter((line) => /^Packages \S*ebian\S* .* main$/.test(line))
    .map((line) => {
      const [, , site, release, component] = line.split(" ");
      const keys = "/usr/share/keyrings/debian-archive-keyring.gpg";
      return `deb-src [signed-by=${keys}] ${site} ${release} ${component}\n`;
    });
  return [...new Set(lines)].join("");
}

/**
 * The folder to be in `PYTHONPATH`, fetched (34 MB) if it is not there yet;
 * a text that says why it cannot be had otherwise.
 */
export async function qemuPython(): Promise<
  { readonly path: string } | { readonly missing: string }
> {
  const path = join(CACHE, "python");
  const there = await Deno.stat(path).then(() => true, () => false);
  if (there) return { path };
  const folder = await Deno.makeTempDir();
  try {
    await output("python3", ["--version"]);
    await Deno.writeTextFile(join(folder, "sources"), await sources());
    await Deno.mkdir(join(folder, "lists/partial"), { recursive: true });
    const options = [
      `Dir::Etc::SourceList=${folder}/sources`,
      "Dir::Etc::SourceParts=-",
      `Dir::State::Lists=${folder}/lists`,
    ].flatMap((option) => ["-o", option]);
    await output("apt-get", [...options, "update"], folder);
    const get = ["source", "--download-only", PACKAGE];
    await output("apt-get", [...options, ...get], folder);
    const archive = (await Array.fromAsync(Deno.readDir(folder)))
      .find(({ name }) => /\.orig\.tar\.\w+$/.test(name))!;
    await Deno.mkdir(CACHE, { recursive: true });
    const unpack = ["xf", archive.name, "--strip-components=1", "--wildcards"];
    await output("tar", [...unpack, "*/python/qemu"], folder);
    await Deno.rename(join(folder, "python"), path).catch(async () => {
      // The cache is in another file system.
      await output("cp", ["-r", join(folder, "python"), CACHE]);
    });
    return { path };
  } catch (error) {
    return { missing: (error as Error).message.trim().split("\n").at(-1)! };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
