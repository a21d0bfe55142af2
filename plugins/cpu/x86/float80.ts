/** @module */
export * from "./float80_core.ts";
import { Float80Transcendental } from "./float80_transcendental.ts";
/** all */
export class Float80 extends Float80Transcendental {}
