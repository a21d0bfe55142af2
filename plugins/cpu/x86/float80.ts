/** @module */
export * from "./float80_core.ts";
import { Float80Remainder } from "./float80_remainder.ts";
/** all */
export class Float80 extends Float80Remainder {}
