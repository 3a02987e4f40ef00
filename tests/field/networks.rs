//! Networks that change, lose, block and repeat packets.
