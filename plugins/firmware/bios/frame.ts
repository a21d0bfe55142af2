/**
 * The registers of the code that called a service, as the ROM pushes them on
 * the caller's stack, and what the service answers the ROM.
 *
 * @module
 */

/** Offsets in the frame: ES, DS, PUSHAD, the vector, what INT pushed. */
const ES = 0;
const DS = 2;
const EDI = 4;
const ESI = 8;
const EBP = 12;
/** PUSHAD's ESP, which POPAD leaves alone. */
const SCRATCH = 16;
const EBX = 20;
const EDX = 24;
const ECX = 28;
const EAX = 32;
const VECTOR = 36;
const PHASE = 37;
const IP = 38;
const CS = 40;
const FLAGS = 42;
/** Bytes of a frame. */
export const FRAME_BYTES = 44;

/** FLAGS. */
const CF = 0x0001;
const ZF = 0x0040;
const IF = 0x0200;

/** What the ROM does next. */
export const Status = {
  /** Return to the caller. */
  DONE: 0,
  /** Halt until an interrupt and ask again. */
  WAIT: 1,
  /** Let interrupts in and ask again at once. */
  SPIN: 2,
  /** Call an interrupt's handler and ask again. */
  CALL: 3,
} as const;

/** What the ROM does next. */
export type Status = (typeof Status)[keyof typeof Status];

/** The registers of a caller. */
export class Frame {
  /** The frame as it is in the guest's memory. */
  readonly bytes: Uint8Array = new Uint8Array(FRAME_BYTES);
  /** Where it is there: its physical address. */
  address = 0;
  readonly #view = new DataView(this.bytes.buffer);

  #get(at: number): number {
    return this.#view.getUint16(at, true);
  }

  #set(at: number, value: number): void {
    this.#view.setUint16(at, value, true);
  }

  #get32(at: number): number {
    return this.#view.getUint32(at, true);
  }

  #set32(at: number, value: number): void {
    this.#view.setUint32(at, value, true);
  }

  /** The interrupt that was called. */
  get vector(): number {
    return this.bytes[VECTOR];
  }
  set vector(value: number) {
    this.bytes[VECTOR] = value;
  }
  /** How often the service has been asked in this call: 0 at first. */
  get phase(): number {
    return this.bytes[PHASE];
  }
  set phase(value: number) {
    this.bytes[PHASE] = value;
  }
  /** 32 bits for the service, kept from one time it is asked to the next. */
  get scratch(): number {
    return this.#get32(SCRATCH);
  }
  set scratch(value: number) {
    this.#set32(SCRATCH, value);
  }
  /** EAX. */
  get eax(): number {
    return this.#get32(EAX);
  }
  set eax(value: number) {
    this.#set32(EAX, value);
  }
  /** EBX. */
  get ebx(): number {
    return this.#get32(EBX);
  }
  set ebx(value: number) {
    this.#set32(EBX, value);
  }
  /** ECX. */
  get ecx(): number {
    return this.#get32(ECX);
  }
  set ecx(value: number) {
    this.#set32(ECX, value);
  }
  /** EDX. */
  get edx(): number {
    return this.#get32(EDX);
  }
  set edx(value: number) {
    this.#set32(EDX, value);
  }
  /** ESI. */
  get esi(): number {
    return this.#get32(ESI);
  }
  set esi(value: number) {
    this.#set32(ESI, value);
  }
  /** EDI. */
  get edi(): number {
    return this.#get32(EDI);
  }
  set edi(value: number) {
    this.#set32(EDI, value);
  }
  /** AX. */
  get ax(): number {
    return this.#get(EAX);
  }
  set ax(value: number) {
    this.#set(EAX, value);
  }
  /** BX. */
  get bx(): number {
    return this.#get(EBX);
  }
  set bx(value: number) {
    this.#set(EBX, value);
  }
  /** CX. */
  get cx(): number {
    return this.#get(ECX);
  }
  set cx(value: number) {
    this.#set(ECX, value);
  }
  /** DX. */
  get dx(): number {
    return this.#get(EDX);
  }
  set dx(value: number) {
    this.#set(EDX, value);
  }
  /** SI. */
  get si(): number {
    return this.#get(ESI);
  }
  set si(value: number) {
    this.#set(ESI, value);
  }
  /** DI. */
  get di(): number {
    return this.#get(EDI);
  }
  set di(value: number) {
    this.#set(EDI, value);
  }
  /** BP. */
  get bp(): number {
    return this.#get(EBP);
  }
  set bp(value: number) {
    this.#set(EBP, value);
  }
  /** AL. */
  get al(): number {
    return this.bytes[EAX];
  }
  set al(value: number) {
    this.bytes[EAX] = value;
  }
  /** AH. */
  get ah(): number {
    return this.bytes[EAX + 1];
  }
  set ah(value: number) {
    this.bytes[EAX + 1] = value;
  }
  /** BL. */
  get bl(): number {
    return this.bytes[EBX];
  }
  set bl(value: number) {
    this.bytes[EBX] = value;
  }
  /** BH. */
  get bh(): number {
    return this.bytes[EBX + 1];
  }
  set bh(value: number) {
    this.bytes[EBX + 1] = value;
  }
  /** CL. */
  get cl(): number {
    return this.bytes[ECX];
  }
  set cl(value: number) {
    this.bytes[ECX] = value;
  }
  /** CH. */
  get ch(): number {
    return this.bytes[ECX + 1];
  }
  set ch(value: number) {
    this.bytes[ECX + 1] = value;
  }
  /** DL. */
  get dl(): number {
    return this.bytes[EDX];
  }
  set dl(value: number) {
    this.bytes[EDX] = value;
  }
  /** DH. */
  get dh(): number {
    return this.bytes[EDX + 1];
  }
  set dh(value: number) {
    this.bytes[EDX + 1] = value;
  }
  /** DS. */
  get ds(): number {
    return this.#get(DS);
  }
  set ds(value: number) {
    this.#set(DS, value);
  }
  /** ES. */
  get es(): number {
    return this.#get(ES);
  }
  set es(value: number) {
    this.#set(ES, value);
  }
  /** IP to which the ROM returns. */
  get ip(): number {
    return this.#get(IP);
  }
  set ip(value: number) {
    this.#set(IP, value);
  }
  /** CS to which it returns. */
  get cs(): number {
    return this.#get(CS);
  }
  set cs(value: number) {
    this.#set(CS, value);
  }
  /** The carry flag that the caller gets. */
  get carry(): boolean {
    return (this.#get(FLAGS) & CF) !== 0;
  }
  set carry(value: boolean) {
    this.#set(FLAGS, this.#get(FLAGS) & ~CF | (value ? CF : 0));
  }
  /** The zero flag that the caller gets. */
  get zero(): boolean {
    return (this.#get(FLAGS) & ZF) !== 0;
  }
  set zero(value: boolean) {
    this.#set(FLAGS, this.#get(FLAGS) & ~ZF | (value ? ZF : 0));
  }
  /** Whether the caller has interrupts on afterwards. */
  set interrupts(value: boolean) {
    this.#set(FLAGS, this.#get(FLAGS) & ~IF | (value ? IF : 0));
  }

  /** Let the ROM return to this address of real mode. */
  returnTo(cs: number, ip: number): void {
    this.cs = cs;
    this.ip = ip;
  }
}
