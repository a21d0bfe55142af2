/**
 * VNC authentication: the viewer encrypts a challenge with the password.
 *
 * RFC 6143, 7.2.2: DES in ECB mode, the password's first eight characters as
 * the key, the bits of each in reverse order. It keeps the curious out, no more.
 * Deno's `node:crypto` has no single DES; triple DES with three equal keys is
 * the same, and each block on its own is ECB.
 *
 * @module
 */

import { createCipheriv, timingSafeEqual } from "node:crypto";

/** Bytes of a challenge and of its answer. */
export const CHALLENGE_BYTES = 16;
/** Characters of a password that count. */
export const PASSWORD_LENGTH = 8;

const BLOCK = 8;

function reversedBits(byte: number): number {
  let reversed = 0;
  for (let bit = 0; bit < 8; bit++) {
    reversed |= (byte >> bit & 1) << (7 - bit);
  }
  return reversed;
}

/** The right answer to a challenge. */
export function answerOf(
  challenge: Uint8Array,
  password: string,
): Uint8Array {
  const key = new Uint8Array(3 * BLOCK);
  for (let i = 0; i < BLOCK && i < password.length; i++) {
    const byte = reversedBits(password.charCodeAt(i));
    for (let n = 0; n < 3; n++) key[n * BLOCK + i] = byte;
  }
  const answer = new Uint8Array(challenge.length);
  for (let at = 0; at < challenge.length; at += BLOCK) {
    const cipher = createCipheriv("des-ede3-cbc", key, new Uint8Array(BLOCK));
    cipher.setAutoPadding(false);
    answer.set(cipher.update(challenge.subarray(at, at + BLOCK)), at);
  }
  return answer;
}

/** Whether a viewer knows the password; takes as long for any wrong answer. */
export function isRight(
  answer: Uint8Array,
  challenge: Uint8Array,
  password: string,
): boolean {
  return timingSafeEqual(answer, answerOf(challenge, password));
}
