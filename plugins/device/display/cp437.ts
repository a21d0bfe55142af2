/**
 * Code page 437, the characters of the VGA's font in ROM.
 *
 * Unicode Consortium, MAPPINGS/VENDORS/MICSFT/PC/CP437.TXT for 20h to FFh, and
 * MAPPINGS/VENDORS/MISC/IBMGRAPH.TXT for the graphic forms of 01h to 1Fh and
 * 7Fh.
 *
 * @module
 */

const GRAPHIC = " ☺☻♥♦♣♠•◘○◙♂♀♪♫☼►◄↕‼¶§▬↨↑↓→←∟↔▲▼";
const ASCII = Array.from(
  { length: 0x5f },
  (_, i) => String.fromCharCode(0x20 + i),
).join("");
const HIGH = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»" +
  "░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀" +
  "αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u00a0";

/** Unicode by the character's number; 0 is shown as a space. */
export const CP437: Uint16Array = Uint16Array.from(
  GRAPHIC + ASCII + "⌂" + HIGH,
  (character) => character.charCodeAt(0),
);
