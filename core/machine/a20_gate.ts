/**
 * The contract `a20-gate`: the gate of address line 20, which a keyboard
 * controller has, for the other ports that open and close it.
 *
 * @module
 */

/** The one gate of a PC's address line 20. */
export interface A20Gate {
  /** Whether the line is what the CPU says; closed, it is low. */
  a20: boolean;
}
