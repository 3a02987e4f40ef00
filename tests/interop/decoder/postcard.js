// The part of postcard that the protocols use, read strictly: one value has one form.

import { concat, fromUtf8, Refused, utf8 } from './bytes.js';

export function varint(value) {
  let rest = BigInt(value);
  const out = [];
  for (;;) {
    const low = Number(rest & 0x7fn);
    rest >>= 7n;
    if (rest === 0n) return Uint8Array.from([...out, low]);
    out.push(low | 0x80);
  }
}

/** Bytes or text behind their length. */
export function counted(value) {
  const bytes = typeof value === 'string' ? utf8(value) : value;
  return concat(varint(bytes.length), bytes);
}

/** Reads from the front; every method refuses rather than going past the end. */
export class Reader {
  #bytes;
  #at = 0;

  constructor(bytes) {
    this.#bytes = bytes;
  }

  get left() {
    return this.#bytes.length - this.#at;
  }

  take(count) {
    if (count > this.left) throw new Refused('cut', `${count} bytes wanted, ${this.left} left`);
    const out = this.#bytes.slice(this.#at, this.#at + count);
    this.#at += count;
    return out;
  }

  u8() {
    return this.take(1)[0];
  }

  /** An integer of so many bits as LEB128, in as few bytes as it takes. */
  varint(bits) {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = this.u8();
      value |= BigInt(byte & 0x7f) << shift;
      if (value >> BigInt(bits)) throw new Refused('overflow');
      if (byte < 0x80) {
        if (byte === 0 && shift > 0n) throw new Refused('overlong');
        return value;
      }
    }
  }

  /** An enum's number. */
  variant(count) {
    const number = this.varint(32);
    if (number >= BigInt(count)) throw new Refused('unknown', `number ${number}`);
    return Number(number);
  }

  counted() {
    const length = this.varint(64);
    if (length > BigInt(this.left)) throw new Refused('cut', `${length} bytes claimed, ${this.left} left`);
    return this.take(Number(length));
  }

  text() {
    return fromUtf8(this.counted());
  }

  end() {
    if (this.left) throw new Refused('trailing', `${this.left} bytes`);
  }
}
