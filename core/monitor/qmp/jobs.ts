/**
 * Work that goes on after its command was answered: QEMU's jobs
 * (`qapi/job.json`). A job that has ended stays in the list until it is
 * dismissed, so that a client can ask how it went.
 *
 * @module
 */

import type { Machine } from "../../machine/machine.ts";
import { GenericError } from "./error.ts";

/** What jobs there are. */
export const JOB_TYPES = [
  "snapshot-save",
  "snapshot-load",
  "snapshot-delete",
] as const;

/** How far a job has come, of QEMU's states those that happen here. */
export const JOB_STATES = [
  "created",
  "running",
  "waiting",
  "pending",
  "aborting",
  "concluded",
  "null",
] as const;

/** What a job does. */
export type JobType = typeof JOB_TYPES[number];
/** How far it has come. */
export type JobState = typeof JOB_STATES[number];

/** A job, as a client sees it. */
export interface JobInfo {
  /** The name that the client gave it. */
  readonly id: string;
  /** What it does. */
  readonly type: JobType;
  /** How far it has come. */
  status: JobState;
  /** How much is done. */
  "current-progress": number;
  /** Of how much. */
  "total-progress": number;
  /** Why it failed, if it has. */
  error?: string;
}

/** Says how much is done, of how much. */
export type Progress = (current: number, total: number) => void;

/** Jobs that may be in the list: one more has to wait until some are dismissed. */
const MAX_JOBS = 64;

const jobs = new WeakMap<Machine, Jobs>();

/** The jobs of a machine, which all its servers know. */
export function jobsOf(machine: Machine): Jobs {
  let found = jobs.get(machine);
  if (found === undefined) {
    const { events } = machine;
    found = new Jobs((id, status) => events.emit({ type: "job", id, status }));
    jobs.set(machine, found);
  }
  return found;
}

/** The jobs of a machine. */
export class Jobs {
  readonly #jobs = new Map<string, JobInfo>();
  readonly #changed: (id: string, status: JobState) => void;

  /** `changed` hears of every change of a job's state. */
  constructor(changed: (id: string, status: JobState) => void) {
    this.#changed = changed;
  }

  /** All jobs. */
  list(): JobInfo[] {
    return Array.from(this.#jobs.values(), (job) => ({ ...job }));
  }

  /** Begin a job. Throws a `GenericError` for a name that cannot be. */
  start(
    id: string,
    type: JobType,
    work: (progress: Progress) => Promise<void>,
  ): void {
    if (!/^[a-z][a-z0-9_.-]*$/i.test(id)) {
      throw new GenericError(`Invalid job ID '${id}'`);
    }
    if (this.#jobs.has(id)) {
      throw new GenericError(`Job ID '${id}' already in use`);
    }
    if (this.#jobs.size >= MAX_JOBS) {
      throw new GenericError("There are too many jobs: dismiss some");
    }
    const job: JobInfo = {
      id,
      type,
      status: "created",
      "current-progress": 0,
      "total-progress": 1,
    };
    this.#jobs.set(id, job);
    this.#set(job, "created");
    void this.#run(job, work);
  }

  /** Take a job off the list that has ended. */
  dismiss(id: string): void {
    const job = this.find(id);
    if (job.status !== "concluded") throw this.refusal(job, "dismiss");
    this.#jobs.delete(id);
    this.#set(job, "null");
  }

  /** A job by its name; throws a `GenericError`. */
  find(id: string): JobInfo {
    const job = this.#jobs.get(id);
    if (job === undefined) throw new GenericError("Job not found");
    return job;
  }

  /** A job does not do that now. */
  refusal({ id, status }: JobInfo, verb: string): GenericError {
    return new GenericError(
      `Job '${id}' in state '${status}' cannot accept command verb '${verb}'`,
    );
  }

  #set(job: JobInfo, status: JobState): void {
    job.status = status;
    this.#changed(job.id, status);
  }

  async #run(
    job: JobInfo,
    work: (progress: Progress) => Promise<void>,
  ): Promise<void> {
    this.#set(job, "running");
    try {
      await work((current, total) => {
        job["current-progress"] = current;
        job["total-progress"] = total;
      });
      job["current-progress"] = job["total-progress"];
      this.#set(job, "waiting");
      this.#set(job, "pending");
    } catch (error) {
      job.error = error instanceof Error ? error.message : String(error);
      this.#set(job, "aborting");
    }
    this.#set(job, "concluded");
  }
}
