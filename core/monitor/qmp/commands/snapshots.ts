/**
 * Commands about snapshots and jobs: QEMU's `qapi/migration.json` and
 * `job.json`. The disks that a machine has are saved with it, whichever are
 * named.
 *
 * @module
 */

import { action, type Command, type Monitor, query } from "../command.ts";
import { EXTENSION } from "../../../snapshot/folder.ts";
import { drivesOf } from "../drives.ts";
import { GenericError } from "../error.ts";
import { JOB_STATES, JOB_TYPES, type JobState } from "../jobs.ts";
import {
  int,
  list,
  oneOf,
  optional,
  str,
  struct,
  type Type,
} from "../types.ts";

const SnapshotArguments = {
  "job-id": str,
  tag: str,
  vmstate: str,
  devices: list(str),
} as const;

/** How far a job has come. */
export const JobStatus: Type<JobState> = oneOf("JobStatus", JOB_STATES);

const JobInfo = struct("JobInfo", {
  id: str,
  type: oneOf("JobType", JOB_TYPES),
  status: JobStatus,
  "current-progress": int,
  "total-progress": int,
  error: optional(str),
});

/** A snapshot's name is none of a file elsewhere. */
function checkTag(tag: string): void {
  const isPath = /[/\\\0]/.test(tag) || tag.endsWith(EXTENSION);
  if (tag === "" || isPath || tag.startsWith(".")) {
    throw new GenericError(
      `Invalid parameter 'tag': "${tag}" is not a name for a snapshot`,
    );
  }
}

/** The nodes that a client names are there; which ones does not matter. */
function checkNodes(monitor: Monitor, names: readonly string[]): void {
  const known = drivesOf(monitor);
  for (const wanted of names) {
    // A machine without disks has a state all the same.
    if (wanted === "") continue;
    const found = known.some(({ name, node }) =>
      name === wanted || node === wanted
    );
    if (!found) throw new GenericError(`No block device node '${wanted}'`);
  }
}

/** Commands about a job that cannot be done to any here. */
function refused(name: string, verb: string): Command {
  return action(name, { id: str }, ({ jobs }, { id }) => {
    throw jobs.refusal(jobs.find(id), verb);
  });
}

/** The commands. */
export const SNAPSHOTS: readonly Command[] = [
  action("snapshot-save", SnapshotArguments, (monitor, args) => {
    const { "job-id": id, tag, vmstate, devices } = args;
    checkTag(tag);
    checkNodes(monitor, [vmstate, ...devices]);
    const { machine, jobs } = monitor;
    jobs.start(id, "snapshot-save", async (onProgress) => {
      // As in QEMU, only `savevm` replaces one.
      await machine.saveSnapshot(tag, { onProgress, replace: false });
    });
  }),
  action("snapshot-load", SnapshotArguments, (monitor, args) => {
    const { "job-id": id, tag, vmstate, devices } = args;
    checkTag(tag);
    checkNodes(monitor, [vmstate, ...devices]);
    const { machine, jobs } = monitor;
    jobs.start(id, "snapshot-load", () => machine.loadSnapshot(tag));
  }),
  action(
    "snapshot-delete",
    { "job-id": str, tag: str, devices: list(str) },
    (monitor, { "job-id": id, tag, devices }) => {
      checkTag(tag);
      checkNodes(monitor, devices);
      const { machine, jobs } = monitor;
      jobs.start(id, "snapshot-delete", () => machine.deleteSnapshot(tag));
    },
  ),
  query("query-jobs", {}, list(JobInfo), ({ jobs }) => jobs.list()),
  action("job-dismiss", { id: str }, ({ jobs }, { id }) => jobs.dismiss(id)),
  refused("job-cancel", "cancel"),
  refused("job-pause", "pause"),
  action("job-resume", { id: str }, ({ jobs }, { id }) => {
    jobs.find(id);
    throw new GenericError("Can't resume a job that was not paused");
  }),
  refused("job-complete", "complete"),
  refused("job-finalize", "finalize"),
];
