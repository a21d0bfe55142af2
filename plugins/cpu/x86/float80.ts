/** @module */
export * from "./float80_core.ts";
import { Float80Arith } from "./float80_arith.ts";
/** all */
export class Float80 extends Float80Arith {}
