// The control frames that offer, that name files, and with which a transfer is resumed: docs/protocol-transfer.md, "Control
// frames", "Manifest" and "Resuming".

import { concat, hex, Refused, unhex } from './bytes.js';
import { counted as bytes, Reader, varint } from './postcard.js';

const BATCH = 1024;
const NAMES = 240;
const FRAMES = { sender: 14, receiver: 13 };
const [PAGE, INVALIDATED, RESUME_OFFER, CHANGED, HAVE, RENAMED, GROWN, ROOM] = [1, 3, 10, 11, 3, 11, 12, 12];
const [OFFER, REQUESTED] = [0, 13];
// A file whose length is not known yet.
const GROWING = 'growing';

const zigzag = (value) => (value < 0 ? -2n * BigInt(value) - 1n : 2n * BigInt(value));
const unzigzag = (value) => Number(value & 1n ? -(value >> 1n) - 1n : value >> 1n);

function list(reader, item, most = BATCH) {
  const count = reader.varint(64);
  // An item has a byte at least.
  if (count > BigInt(reader.left)) throw new Refused('cut');
  if (count > most) throw new Refused('long');
  return Array.from({ length: Number(count) }, () => item(reader));
}

function bool(reader) {
  const byte = reader.u8();
  if (byte > 1) throw new Refused('bool');
  return byte === 1;
}

const u32 = (reader) => Number(reader.varint(32));
const change = (reader) => ({ file: u32(reader), size: Number(reader.varint(64)), secs: unzigzag(reader.varint(64)), nanos: u32(reader) });
const claim = (reader) => ({
  file: u32(reader),
  whole: bool(reader),
  segments: list(reader, (reader) => [u32(reader), u32(reader)]),
  hashes: list(reader, (reader) => hex(reader.take(32))),
});

function resumeOffer(reader) {
  const version = Number(reader.varint(16));
  const [transfer, attempt, manifest] = [16, 16, 32].map((count) => hex(reader.take(count)));
  return { version, transfer, attempt, manifest, changed: u32(reader) };
}

function offer(reader) {
  const version = Number(reader.varint(16));
  const [transfer, attempt] = [16, 16].map((count) => hex(reader.take(count)));
  const [entries, files, total] = [u32(reader), u32(reader), Number(reader.varint(64))];
  const roots = list(reader, (reader) => hex(reader.counted()), Infinity);
  const [root_count, skipped, pages, compress, encrypt] = [u32(reader), u32(reader), u32(reader), bool(reader), bool(reader)];
  return { version, transfer, attempt, entries, files, total, roots, root_count, skipped, pages, compress, encrypt };
}

function entry(reader) {
  const [parent, name, secs, nanos] = [u32(reader), hex(reader.counted()), unzigzag(reader.varint(64)), u32(reader)];
  const mode = bool(reader) ? Number(reader.varint(16)) : null;
  const kind = reader.variant(3);
  const size = kind === 1 ? Number(reader.varint(64)) : kind === 2 ? GROWING : null;
  return { parent, name, secs, nanos, mode, size };
}

// A page ends with its frame; how many entries fit is a matter of their names.
const page = (reader) => ({ index: u32(reader), entries: list(reader, entry, Infinity) });
const rename = (reader) => ({ entry: u32(reader), name: hex(reader.counted()) });

const length = (reader) => ({ size: Number(reader.varint(64)), ended: bool(reader) });

/** What a frame means. */
export function read(from, bytes) {
  const reader = new Reader(bytes);
  const number = reader.variant(FRAMES[from]);
  let frame;
  if (from === 'receiver' && number === HAVE) frame = { have: list(reader, claim) };
  else if (from === 'receiver' && number === RENAMED) frame = { renamed: list(reader, rename, NAMES) };
  else if (from === 'receiver' && number === ROOM) frame = { room: length(reader) };
  else if (from === 'sender' && number === OFFER) frame = { offer: offer(reader) };
  else if (from === 'sender' && number === REQUESTED) frame = { requested: { request: hex(reader.take(16)), offer: offer(reader) } };
  else if (from === 'sender' && number === GROWN) frame = { grown: length(reader) };
  else if (from === 'sender' && number === PAGE) frame = { page: page(reader) };
  else if (from === 'sender' && number === INVALIDATED) frame = { invalidated: list(reader, u32) };
  else if (from === 'sender' && number === RESUME_OFFER) frame = { resume_offer: resumeOffer(reader) };
  else if (from === 'sender' && number === CHANGED) frame = { changed: list(reader, change) };
  else throw new Refused('frame', `number ${number}`);
  reader.end();
  return frame;
}

const counted = (items, item) => concat(varint(items.length), ...items.map(item));

const flag = (value) => varint(value ? 1 : 0);

function offered({ version, transfer, attempt, entries, files, total, roots, root_count, skipped, pages, compress, encrypt }) {
  const names = counted(roots, (name) => bytes(unhex(name)));
  return concat(varint(version), unhex(transfer), unhex(attempt), ...[entries, files, total].map(varint), names,
    ...[root_count, skipped, pages].map(varint), flag(compress), flag(encrypt));
}

/** A frame as it travels. */
export function write(frame) {
  if (frame.offer) return concat(varint(OFFER), offered(frame.offer));
  if (frame.requested) return concat(varint(REQUESTED), unhex(frame.requested.request), offered(frame.requested.offer));
  if (frame.renamed) return concat(varint(RENAMED), counted(frame.renamed, ({ entry, name }) => concat(varint(entry), bytes(unhex(name)))));
  if (frame.page) {
    const kind = (size) => (size === null ? varint(0) : size === GROWING ? varint(2) : concat(varint(1), varint(size)));
    const mode = (mode) => (mode === null ? varint(0) : concat(varint(1), varint(mode)));
    const entry = (item) => concat(varint(item.parent), bytes(unhex(item.name)), varint(zigzag(item.secs)), varint(item.nanos), mode(item.mode), kind(item.size));
    return concat(varint(PAGE), varint(frame.page.index), counted(frame.page.entries, entry));
  }
  if (frame.grown) return concat(varint(GROWN), varint(frame.grown.size), varint(frame.grown.ended ? 1 : 0));
  if (frame.room) return concat(varint(ROOM), varint(frame.room.size), varint(frame.room.ended ? 1 : 0));
  if (frame.invalidated) return concat(varint(INVALIDATED), counted(frame.invalidated, varint));
  if (frame.resume_offer) {
    const { version, transfer, attempt, manifest, changed } = frame.resume_offer;
    return concat(varint(RESUME_OFFER), varint(version), ...[transfer, attempt, manifest].map(unhex), varint(changed));
  }
  if (frame.changed) {
    return concat(varint(CHANGED), counted(frame.changed, ({ file, size, secs, nanos }) => concat(varint(file), varint(size), varint(zigzag(secs)), varint(nanos))));
  }
  const spans = (segments) => counted(segments, ([first, end]) => concat(varint(first), varint(end)));
  return concat(
    varint(HAVE),
    counted(frame.have, ({ file, whole, segments, hashes }) => concat(varint(file), varint(whole ? 1 : 0), spans(segments), counted(hashes, unhex))),
  );
}
