/**
 * Block backends: disk images. Asynchronous, in sectors' bytes.
 *
 * @module
 */

/** A disk image, as its device sees it. */
export interface BlockBackend {
  /** Its size in bytes. */
  readonly size: number;
  /** Whether writes are refused. */
  readonly readOnly: boolean;
  /** Read `length` bytes at byte `offset`; both lie within the image. */
  read(offset: number, length: number): Promise<Uint8Array>;
  /** Write bytes at byte `offset`; they lie within the image. */
  write(offset: number, bytes: Uint8Array): Promise<void>;
  /** Resolves when everything written would survive a power cut. */
  flush(): Promise<void>;
  /** Flush and let go of the image. */
  close(): Promise<void>;
}
