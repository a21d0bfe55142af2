/**
 * Makes empty qcow2 images without QEMU.
 *
 * @module
 */

/** What kind of image. */
export interface NewImage {
  /** Bytes of the disk. */
  readonly size: number;
  /** The cluster size is 2 to the power of this. */
  readonly clusterBits: number;
  /** A refcount has 2 to the power of this bits: 4 (the default) to 6. */
  readonly refcountOrder?: number;
  /** 32 subclusters a cluster. */
  readonly extendedL2?: boolean;
}

/**
 * The bytes of an empty image of version 3: a cluster each of header, refcount
 * table and refcount block, then the L1 table.
 */
export function newImage(
  { size, clusterBits, refcountOrder = 4, extendedL2 = false }: NewImage,
): Uint8Array<ArrayBuffer> {
  const cluster = 2 ** clusterBits;
  const perTable = cluster / (extendedL2 ? 16 : 8);
  const l1Size = Math.ceil(size / cluster / perTable);
  const clusters = 3 + Math.ceil(l1Size * 8 / cluster);
  const view = new DataView(new ArrayBuffer(clusters * cluster));
  view.setUint32(0, 0x514649fb);
  view.setUint32(4, 3);
  view.setUint32(20, clusterBits);
  view.setBigUint64(24, BigInt(size));
  view.setUint32(36, l1Size);
  view.setBigUint64(40, BigInt(3 * cluster));
  view.setBigUint64(48, BigInt(cluster));
  view.setUint32(56, 1);
  view.setUint32(76, extendedL2 ? 16 : 0);
  view.setUint32(96, refcountOrder);
  view.setUint32(100, 104);
  view.setBigUint64(cluster, BigInt(2 * cluster));
  const width = 2 ** refcountOrder / 8;
  for (let i = 1; i <= clusters; i++) {
    view.setUint8(2 * cluster + i * width - 1, 1);
  }
  return new Uint8Array(view.buffer);
}
