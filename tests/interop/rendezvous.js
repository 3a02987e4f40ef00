// How two words find a host: the key that they make in an epoch. docs/protocol-pairing.md.

import { ed25519 } from '@noble/curves/ed25519.js';
import { argon2id } from '@noble/hashes/argon2.js';
import { derive, u64, utf8 } from './bytes.js';

const STRETCH = { m: 64 * 1024, t: 3, p: 1, dkLen: 32, version: 0x13 };

export const salt = (epoch) => derive('rendezvous salt', u64(epoch));

/** Seed and public key of the record that a host shows under these words, `amber-falcon`. */
export function rendezvousKey(words, epoch) {
  const stretched = argon2id(utf8(words), salt(epoch), STRETCH);
  const seed = derive('rendezvous key', stretched);
  return { stretched, seed, public: ed25519.getPublicKey(seed) };
}
