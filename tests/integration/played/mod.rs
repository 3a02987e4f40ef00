//! Tests that play one of the two devices themselves, with [`Peer`](crate::peer::Peer).

mod cut;
mod early;
mod flood;
mod halfway;
mod isolation;
mod replay;
mod strangers;
mod unpaired;
