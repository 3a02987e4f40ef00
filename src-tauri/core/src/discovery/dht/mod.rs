//! Client of the mainline DHT, whose nodes store small signed items (BEP 44). It sends requests and never serves any.

use std::{
    net::SocketAddrV4,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::StreamExt;
use iroh::{
    EndpointId, PublicKey, SecretKey,
    address_lookup::{AddressLookup, EndpointData, Error, Item},
};
use iroh_dns::pkarr::{SignedPacket, Timestamp};
use iroh_mainline_address_lookup::DhtAddressLookup;
use n0_future::boxed::{BoxFuture, BoxStream};
use n0_mainline::{Dht, DhtBuilder, MutableItem, RequestFilter, RequestSpecific, ServerSettings};
use tokio::sync::OnceCell;

use super::backend::{BackendError, LookupReply, RendezvousBackend};

use crate::clock::Locked as _;

/// Maximum number of items taken from one lookup. Honest nodes all return the same one.
const MAX_ITEMS: usize = 8;
/// Wait of a lookup for further items after the first one.
const MORE_ITEMS: Duration = Duration::from_secs(2);

/// Bootstrap nodes of the DHT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DhtEntry {
    /// The well-known public nodes.
    Public,
    /// Only these nodes, `HOST:PORT`.
    Own(Vec<String>),
}

impl DhtEntry {
    fn builder(&self) -> DhtBuilder {
        let mut builder = Dht::builder();
        // Any free port: the default port may belong to another program.
        builder.port(0).server_settings(ServerSettings { filter: Box::new(Nobody), ..ServerSettings::default() });
        if let Self::Own(nodes) = self {
            builder.bootstrap(nodes);
        }
        builder
    }
}

/// Refuses all requests. The DHT crate would otherwise begin to serve other nodes when it finds that it can be reached.
#[derive(Clone, Debug)]
struct Nobody;

impl RequestFilter for Nobody {
    fn allow_request(&self, _request: &RequestSpecific, _from: SocketAddrV4) -> bool {
        false
    }
}

/// The DHT. Joined on first use, left when the last clone is dropped.
#[derive(Clone, Debug)]
pub struct MainlineDht {
    entry: DhtEntry,
    dht: Arc<OnceCell<Dht>>,
    met: Arc<AtomicBool>,
}

impl MainlineDht {
    /// Creates a client that has not joined the DHT yet.
    pub fn new(entry: DhtEntry) -> Self {
        Self { entry, dht: Arc::default(), met: Arc::default() }
    }

    async fn entered(&self) -> Result<Dht, BackendError> {
        let enter = || async {
            let builder = self.entry.builder();
            // Resolves host names by a call that blocks.
            let dht = tokio::task::spawn_blocking(move || builder.build()).await;
            dht.map_err(failed)?.map_err(failed)
        };
        let dht = self.dht.get_or_try_init(enter).await?;
        // Without a reachable node, a lookup would end at once and report that nothing exists.
        if !self.met.load(Ordering::Relaxed) {
            if !dht.bootstrapped().await.map_err(failed)? {
                return Err(BackendError("none of its nodes answers".into()));
            }
            self.met.store(true, Ordering::Relaxed);
        }
        Ok(dht.clone())
    }

    async fn put(&self, packet: &SignedPacket) -> Result<(), BackendError> {
        let seq = i64::try_from(packet.timestamp().as_micros()).map_err(failed)?;
        let item = MutableItem::new_signed_unchecked(
            *packet.public_key().as_bytes(),
            packet.signature().to_bytes(),
            packet.encoded_packet(),
            seq,
            None,
        );
        self.entered().await?.put_mutable(item, None).await.map(drop).map_err(failed)
    }

    async fn get(&self, key: &PublicKey) -> Result<LookupReply, BackendError> {
        let mut items = self.entered().await?.get_mutable(key.as_bytes(), None, None).await.map_err(failed)?;
        let mut packets: Vec<SignedPacket> = Vec::new();
        let mut patience = Duration::MAX;
        for _ in 0..MAX_ITEMS {
            let Ok(Some(item)) = tokio::time::timeout(patience, items.next()).await else { break };
            patience = MORE_ITEMS;
            if let Some(packet) = packet_of(&item)
                && !packets.contains(&packet)
            {
                packets.push(packet);
            }
        }
        Ok(LookupReply { packets, clock: None })
    }
}

/// Converts an item into a packet. The signature is verified here, whatever the crate has verified.
fn packet_of(item: &MutableItem) -> Option<SignedPacket> {
    let seq = u64::try_from(item.seq()).ok()?;
    let (key, signature) = (item.key(), item.signature());
    let packet = SignedPacket::from_parts_unchecked(key, signature, Timestamp::from_micros(seq), item.value()).ok()?;
    SignedPacket::from_bytes(packet.as_bytes()).ok()
}

impl RendezvousBackend for MainlineDht {
    fn name(&self) -> &'static str {
        "dht"
    }

    fn publish(&self, packet: SignedPacket) -> BoxFuture<Result<(), BackendError>> {
        let dht = self.clone();
        Box::pin(async move { dht.put(&packet).await })
    }

    fn look_up(&self, key: PublicKey) -> BoxFuture<Result<LookupReply, BackendError>> {
        let dht = self.clone();
        Box::pin(async move { dht.get(&key).await })
    }
}

/// The DHT as a lookup of paired devices' relays, and for publishing our own. Can be switched on and off. Cheap to
/// clone.
#[derive(Clone, Debug)]
pub struct DhtSwitch(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    entry: DhtEntry,
    secret: SecretKey,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    on: bool,
    lookup: Option<DhtAddressLookup>,
    said: Option<EndpointData>,
}

impl DhtSwitch {
    /// Creates a lookup that is switched off.
    pub fn new(entry: DhtEntry, secret: SecretKey) -> Self {
        Self(Arc::new(Inner { entry, secret, state: Mutex::default() }))
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.state.locked()
    }

    /// Switches the lookup. Off takes effect at once; on, once the bootstrap nodes have been resolved.
    pub async fn set(&self, on: bool) {
        {
            let mut state = self.state();
            state.on = on;
            if !on {
                state.lookup = None;
            }
            if !on || state.lookup.is_some() {
                return;
            }
        }
        let (dht, secret) = (self.0.entry.builder(), self.0.secret.clone());
        let built = tokio::task::spawn_blocking(move || {
            DhtAddressLookup::builder().dht_builder(dht).secret_key(secret).build().map_err(failed)
        });
        match built.await.map_err(failed).and_then(|built| built) {
            Ok(lookup) => {
                let mut state = self.state();
                if let Some(said) = &state.said {
                    lookup.publish(said);
                }
                // It may have been switched off in the meantime.
                state.lookup = state.on.then_some(lookup);
            }
            Err(error) => tracing::warn!(%error, "the DHT cannot be used"),
        }
    }
}

impl AddressLookup for DhtSwitch {
    fn publish(&self, data: &EndpointData) {
        let mut state = self.state();
        state.said = Some(data.clone());
        if let Some(lookup) = &state.lookup {
            lookup.publish(data);
        }
    }

    fn resolve(&self, id: EndpointId) -> Option<BoxStream<Result<Item, Error>>> {
        self.state().lookup.as_ref().and_then(|lookup| lookup.resolve(id))
    }
}

fn failed(error: impl std::fmt::Display) -> BackendError {
    BackendError(error.to_string())
}

#[cfg(test)]
mod tests;
