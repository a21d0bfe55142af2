/**
 * What passes between devices and their backends, as the devices' events tell
 * it. A backend is what it was; somebody only looks.
 *
 * @module
 */

import type { BlockBackend } from "../backend/block.ts";
import type { ByteSink, CharBackend } from "../backend/char.ts";
import type { NetBackend } from "../backend/net.ts";
import type { CommonData, DeviceEvent } from "./device_events.ts";

/** A char backend whose bytes are told. */
export function toldChar(
  char: CharBackend,
  backend: string,
  event: DeviceEvent<CommonData<"bytes">>,
): CharBackend {
  const told = (sink: ByteSink, sent: boolean): ByteSink => (bytes) => {
    if (event.isHeard) event.tell({ backend, sent, bytes: bytes.slice() });
    return sink(bytes);
  };
  return {
    write: told((bytes) => char.write(bytes), true),
    onInput: (receiver) => char.onInput(told(receiver, false)),
    flush: () => char.flush(),
    close: () => char.close(),
  };
}

/** A network whose frames are told: of those for the card, the ones it takes. */
export function toldNet(
  net: NetBackend,
  event: DeviceEvent<CommonData<"frame">>,
): NetBackend {
  return {
    get offload(): boolean {
      return net.offload;
    },
    attach: (card) =>
      net.attach({
        get offload(): boolean {
          return card.offload;
        },
        receive: (frame, offload) => {
          if (!event.isHeard) return card.receive(frame, offload);
          const bytes = frame.slice();
          const isTaken = card.receive(frame, offload);
          if (isTaken) {
            event.tell({ sent: false, offload: offload !== undefined, bytes });
          }
          return isTaken;
        },
      }),
    send: (frame, offload) => {
      if (event.isHeard) {
        event.tell({
          sent: true,
          offload: offload !== undefined,
          bytes: frame.slice(),
        });
      }
      net.send(frame, offload);
    },
    ready: () => net.ready(),
    describe: net.describe && (() => net.describe!()),
    guestReplaced: net.guestReplaced && (() => net.guestReplaced!()),
    close: () => net.close(),
  };
}

/** A disk whose requests are told. */
export function toldBlock(
  disk: BlockBackend,
  backend: string,
  event: DeviceEvent<CommonData<"disk">>,
): BlockBackend {
  const tell = (request: string, offset: number, size: number): void => {
    if (event.isHeard) event.tell({ backend, request, offset, size });
  };
  return {
    get size(): number {
      return disk.size;
    },
    get readOnly(): boolean {
      return disk.readOnly;
    },
    read: (offset, length, room) => {
      tell("read", offset, length);
      return disk.read(offset, length, room);
    },
    write: (offset, bytes) => {
      tell("write", offset, bytes.length);
      return disk.write(offset, bytes);
    },
    discard: (offset, length) => {
      tell("discard", offset, length);
      return disk.discard(offset, length);
    },
    writeZeroes: (offset, length) => {
      tell("zero", offset, length);
      return disk.writeZeroes(offset, length);
    },
    flush: () => {
      tell("flush", 0, 0);
      return disk.flush();
    },
    close: () => disk.close(),
  };
}
