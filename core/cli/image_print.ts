/**
 * What `rhea image` prints, in the forms of `qemu-img`.
 *
 * @module
 */

import type {
  ImageCheck,
  ImageInfo,
  ImageSnapshot,
  ImageUndo,
} from "../backend/image_format.ts";
import { isUrl } from "../machine/schema.ts";
import type { JsonObject } from "../machine/schema_types.ts";

const UNITS = ["", "Ki", "Mi", "Gi", "Ti", "Pi"];

/** A size for a person: three digits and a unit. */
function humanSize(bytes: number): string {
  // From 1000 on in the next unit, so that three digits do.
  const unit = bytes === 0
    ? 0
    : Math.max(0, Math.floor(Math.log2(bytes * 1.024) / 10));
  const number = Number((bytes / 1024 ** unit).toPrecision(3));
  return `${number} ${UNITS[unit]}B`;
}

/** Bytes of the host's disk that a file takes. */
async function diskSize(location: string): Promise<number | undefined> {
  if (isUrl(location)) return undefined;
  const { blocks } = await Deno.stat(location);
  return blocks === null ? undefined : blocks * 512;
}

/** What an image says of itself, as JSON. */
export async function infoJson(
  location: string,
  format: string,
  info: ImageInfo,
): Promise<JsonObject> {
  const { backing, snapshots, clusterSize, specific } = info;
  const json: JsonObject = {
    "virtual-size": info.size,
    filename: location,
    format,
  };
  const actual = await diskSize(location);
  if (actual !== undefined) json["actual-size"] = actual;
  if (clusterSize !== undefined) json["cluster-size"] = clusterSize;
  if (backing !== undefined) {
    json["backing-filename"] = backing.name;
    json["full-backing-filename"] = backing.location;
    if (backing.format !== undefined) {
      json["backing-filename-format"] = backing.format;
    }
  }
  if (snapshots.length > 0) json.snapshots = snapshots.map(snapshotJson);
  if (info.undo !== undefined) json["undo-log"] = undoJson(info.undo);
  if (specific !== undefined) {
    json["format-specific"] = { type: format, data: specific };
  }
  json["dirty-flag"] = info.dirty;
  return json;
}

function undoJson({ file, size, snapshots, problem }: ImageUndo): JsonObject {
  const json: JsonObject = {
    filename: file,
    size,
    snapshots: snapshots.map(({ name, date, file, complete }) => ({
      name,
      filename: file,
      "date-sec": Math.floor(date / 1000),
      complete,
    })),
  };
  if (problem !== undefined) json.problem = problem;
  return json;
}

function undoLines({ file, size, snapshots, problem }: ImageUndo): string[] {
  const lines = [`undo log: ${file} (${humanSize(size)})`];
  if (snapshots.length > 0) {
    lines.push("Snapshots of machines with this image:");
  }
  for (const { name, date, file, complete } of snapshots) {
    const end = complete ? "" : ", not complete";
    lines.push(`    ${name}: ${dateText(date)}, ${file}${end}`);
  }
  if (problem !== undefined) lines.push(`    ${problem}`);
  return lines;
}

function two(value: number): string {
  return `${value}`.padStart(2, "0");
}

/** A date, in milliseconds since 1970, in the host's time zone. */
function dateText(date: number): string {
  const at = new Date(date);
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ` +
    `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

function snapshotJson(snapshot: ImageSnapshot): JsonObject {
  const json: JsonObject = {
    id: snapshot.id,
    name: snapshot.name,
    "vm-state-size": snapshot.stateSize,
    "date-sec": snapshot.date,
    "date-nsec": snapshot.dateNs,
    "vm-clock-sec": Math.floor(snapshot.guestTime / 1e9),
    "vm-clock-nsec": snapshot.guestTime % 1e9,
  };
  if (snapshot.icount !== undefined) json.icount = snapshot.icount;
  return json;
}

/** The same for a person. */
export async function infoLines(
  location: string,
  format: string,
  info: ImageInfo,
): Promise<string[]> {
  const { backing, snapshots, clusterSize, specific } = info;
  const lines = [
    `image: ${location}`,
    `file format: ${format}`,
    `virtual size: ${humanSize(info.size)} (${info.size} bytes)`,
  ];
  const actual = await diskSize(location);
  if (actual !== undefined) lines.push(`disk size: ${humanSize(actual)}`);
  if (clusterSize !== undefined) lines.push(`cluster_size: ${clusterSize}`);
  if (info.dirty) lines.push("cleanly shut down: no");
  if (backing !== undefined) {
    const actual = backing.location === backing.name
      ? ""
      : ` (actual path: ${backing.location})`;
    lines.push(`backing file: ${backing.name}${actual}`);
    if (backing.format !== undefined) {
      lines.push(`backing file format: ${backing.format}`);
    }
  }
  if (snapshots.length > 0) lines.push(snapshotLines(snapshots));
  if (info.undo !== undefined) lines.push(...undoLines(info.undo));
  if (specific !== undefined) {
    lines.push("Format specific information:");
    for (const [key, value] of Object.entries(specific)) {
      lines.push(`    ${key.replaceAll("-", " ")}: ${value}`);
    }
  }
  return lines;
}

/** A table of snapshots. */
export function snapshotLines(snapshots: readonly ImageSnapshot[]): string {
  const row = (
    id: string,
    tag: string,
    size: string,
    date: string,
    clock: string,
    icount: string,
  ): string =>
    `${id.padEnd(9)} ${tag.padEnd(16)} ${size.padStart(8)}` +
    `${date.padStart(20)}${clock.padStart(13)}${icount.padStart(11)}`;
  return [
    "Snapshot list:",
    row("ID", "TAG", "VM SIZE", "DATE", "VM CLOCK", "ICOUNT"),
    ...snapshots.map((snapshot) => {
      const date = dateText(snapshot.date * 1000);
      const ms = Math.floor(snapshot.guestTime / 1e6);
      const clock = `${two(Math.floor(ms / 3_600_000))}:` +
        `${two(Math.floor(ms / 60_000) % 60)}:` +
        `${two(Math.floor(ms / 1000) % 60)}.${`${ms % 1000}`.padStart(3, "0")}`;
      return row(
        snapshot.id,
        snapshot.name,
        humanSize(snapshot.stateSize),
        date,
        clock,
        snapshot.icount === undefined ? "" : `${snapshot.icount}`,
      );
    }),
  ].join("\n");
}

/** What a check found, as JSON; what is 0 is left out, as in QEMU. */
export function checkJson(
  file: string,
  format: string,
  result: ImageCheck,
): JsonObject {
  const json: JsonObject = { filename: file, format, "check-errors": 0 };
  const counts: Record<string, number> = {
    "image-end-offset": result.endOffset,
    corruptions: result.corruptions,
    leaks: result.leaks,
    "corruptions-fixed": result.corruptionsFixed,
    "leaks-fixed": result.leaksFixed,
    "total-clusters": result.totalClusters,
    "allocated-clusters": result.allocatedClusters,
    "fragmented-clusters": result.fragmentedClusters,
    "compressed-clusters": result.compressedClusters,
  };
  for (const [key, count] of Object.entries(counts)) {
    if (count > 0) json[key] = count;
  }
  return json;
}

/** What a check found, for a person. */
export function checkLines(result: ImageCheck): string[] {
  const lines = [...result.problems];
  const fixed = result.corruptionsFixed + result.leaksFixed;
  if (fixed > 0) {
    lines.push(
      `Repaired: ${result.corruptionsFixed} errors, ` +
        `${result.leaksFixed} leaked clusters.`,
    );
  }
  if (result.corruptions === 0 && result.leaks === 0) {
    lines.push("No errors were found on the image.");
  } else {
    lines.push(
      `${result.corruptions} errors were found on the image, and ` +
        `${result.leaks} leaked clusters.`,
    );
  }
  const { totalClusters: total, allocatedClusters: allocated } = result;
  if (total > 0) {
    const percent = (part: number, whole: number): string =>
      `${(whole === 0 ? 0 : 100 * part / whole).toFixed(2)}%`;
    lines.push(
      `${allocated}/${total} = ${percent(allocated, total)} allocated, ` +
        `${percent(result.fragmentedClusters, allocated)} fragmented, ` +
        `${percent(result.compressedClusters, allocated)} compressed clusters`,
    );
  }
  lines.push(`Image end offset: ${result.endOffset}`);
  return lines;
}
