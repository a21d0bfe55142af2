/**
 * CPUs as gdb's threads: thread n of process 1 is CPU n - 1, and process ids
 * are there for a client that knows of them.
 *
 * @module
 */

/** The only process. */
export const PROCESS = 1;

/** Which CPUs a thread id means: one, any, or all. */
export type ThreadChoice = number | "any" | "all";

/** `p01.01`, or `01`, as QEMU writes them. */
export function threadId(cpu: number, multiprocess: boolean): string {
  const thread = (cpu + 1).toString(16).padStart(2, "0");
  return multiprocess ? `p01.${thread}` : thread;
}

/** The CPUs that a thread id means; undefined where it is none of `count` CPUs'. */
export function parseThread(
  text: string,
  count: number,
): ThreadChoice | undefined {
  const match = /^(?:p(-1|[0-9a-f]{1,8})(?:\.|$))?(-1|[0-9a-f]{1,8})?$/i
    .exec(text);
  if (match === null || text === "") return undefined;
  const [, process, thread] = match;
  if (process !== undefined && process !== "-1") {
    const id = parseInt(process, 16);
    if (id !== 0 && id !== PROCESS) return undefined;
  }
  // A process alone means its threads.
  if (thread === undefined) return text.endsWith(".") ? undefined : "all";
  if (thread === "-1") return "all";
  const id = parseInt(thread, 16);
  if (id === 0) return "any";
  return id <= count ? id - 1 : undefined;
}

/** What a CPU is to do. */
export type Action =
  | { readonly kind: "continue" }
  | { readonly kind: "step" }
  /** Steps while the program counter is from `start` to before `end`. */
  | { readonly kind: "range"; readonly start: number; readonly end: number };

/** What each CPU is to do after `vCont`; one without an action stands still. */
export type Actions = readonly (Action | undefined)[];

/**
 * Understand what stands after `vCont;`: the first action for a CPU counts.
 * Undefined for what it does not say.
 */
export function parseActions(
  text: string,
  count: number,
  address: (text: string) => number | undefined,
): Actions | undefined {
  const actions: (Action | undefined)[] = new Array(count).fill(undefined);
  for (const part of text.split(";")) {
    const colon = part.indexOf(":");
    const what = colon < 0 ? part : part.slice(0, colon);
    const action = parseAction(what, address);
    const who = colon < 0 ? "all" : parseThread(part.slice(colon + 1), count);
    if (action === undefined || who === undefined) return undefined;
    for (let cpu = 0; cpu < count; cpu++) {
      const isMeant = who === "all" || who === "any" || who === cpu;
      if (isMeant) actions[cpu] ??= action;
    }
  }
  return actions;
}

function parseAction(
  text: string,
  address: (text: string) => number | undefined,
): Action | undefined {
  // A signal means nothing to a machine.
  if (text === "c" || /^C[0-9a-f]{2}$/i.test(text)) return { kind: "continue" };
  if (text === "s" || /^S[0-9a-f]{2}$/i.test(text)) return { kind: "step" };
  const range = /^r([0-9a-f]+),([0-9a-f]+)$/i.exec(text);
  if (range === null) return undefined;
  const start = address(range[1]), end = address(range[2]);
  if (start === undefined || end === undefined) return undefined;
  return { kind: "range", start, end };
}
