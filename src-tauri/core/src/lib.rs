//! Yonder's networking core: connects a person's devices directly, peer to peer, without an account or a cloud.
//!
//! # Quick start
//!
//! A node is a [`NetworkingService`](service::NetworkingService) on a data directory. This program runs two nodes, pairs
//! them, and lets them talk. Both are on the loopback here; on two machines, leave out `bind`, `port` and `mode`.
//!
//! ```
//! use std::{net::{IpAddr, Ipv4Addr}, path::Path};
//! use yonder_core::{
//!     api::{Direction, Event, MessageRequest, PairingView},
//!     error::NetworkError,
//!     identity::KeystoreChoice,
//!     messaging::NetworkMessage,
//!     net::Mode,
//!     service::{NetworkingService, NodeOptions},
//! };
//!
//! /// Opens a data directory, creates an identity in it if there is none, and goes on the network.
//! async fn start(data_dir: &Path) -> Result<NetworkingService, NetworkError> {
//!     let options = NodeOptions {
//!         port: Some(0), // Any free one.
//!         bind: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
//!         mode: Mode::Lan, // Asks no relay and no server.
//!         keystore: KeystoreChoice::Plain, // Without this, the system's keychain keeps the secret.
//!         ..NodeOptions::new(data_dir)
//!     };
//!     let service = NetworkingService::new(options).await?;
//!     service.spawn_event_loop().await?;
//!     Ok(service)
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let (studio_dir, attic_dir) = (tempfile::tempdir()?, tempfile::tempdir()?);
//!     let (studio, attic) = (start(studio_dir.path()).await?, start(attic_dir.path()).await?);
//!     let (mut studio_events, mut attic_events) = (studio.subscribe(), attic.subscribe());
//!
//!     // One device shows three words, the other enters them. `true` approves without asking a person. The address is
//!     // not needed where the devices see each other on the network.
//!     let PairingView::Hosting { words, .. } = studio.start_pairing_as_initiator(true).await? else { unreachable!() };
//!     let identity = studio.identity_view();
//!     let address = format!("{}@127.0.0.1:{}", identity.endpoint_id, identity.port);
//!     attic.join_pairing(&words, Some(&address), true).await?;
//!     let attic_id = loop {
//!         if let Event::Paired { device } = studio_events.recv().await?.event {
//!             break device.device_id;
//!         }
//!     };
//!     assert!(studio.get_device(attic_id).is_some_and(|device| device.paired));
//!
//!     // A message goes over the live session, or over a new one. It fails if the device cannot be reached.
//!     studio.send_message(attic_id, &NetworkMessage::Ping { id: 1 }).await?;
//!
//!     // A text between people waits for a device that is away, and is delivered once.
//!     studio.call(MessageRequest::SendText { device: attic_id.to_string(), text: "Hello, attic!".into() }).await?;
//!     let text = loop {
//!         if let Event::Message { message } = attic_events.recv().await?.event
//!             && message.direction == Direction::Receive
//!         {
//!             break message.text;
//!         }
//!     };
//!     assert_eq!(text, "Hello, attic!");
//!
//!     studio.shutdown().await;
//!     attic.shutdown().await;
//!     Ok(())
//! }
//! ```
//!
//! Everything else that a node can do is a request of [`api`], which [`call`](service::NetworkingService::call) answers.
//! Protocols, ways to find devices and choices of relays can be added: see `docs/extending.md`.
//!
//! The modules and their allowed dependencies are described in `docs/architecture.md`, the wire formats in
//! `docs/protocol.md`.
//!
//! Formats, state machines and key derivations are pure and a crate of their own, `yonder-proto`. They are offered again
//! here, in the modules with the same names ([`keys`], [`id`], [`pairing`], [`transfer`] and others).
#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod api;
pub mod budget;
pub mod clock;
pub mod control;
pub mod datadir;
pub mod device;
pub mod diagnostics;
pub mod discovery;
pub mod error;
pub mod event;
pub mod fs;
pub mod id;
pub mod identity;
pub mod keys;
pub mod messaging;
pub mod net;
pub mod pairing;
pub mod queue;
pub mod service;
pub mod storage;
pub mod transfer;

#[cfg(test)]
mod log_capture;

/// Compiles the examples of `docs/extending.md` as doc tests.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/extending.md")]
pub struct Extending;
