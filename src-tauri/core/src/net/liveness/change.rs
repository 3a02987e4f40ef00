//! Detects that this machine may have moved to another network, or was asleep. All connections are then checked, and
//! absent devices are dialled. Every change is reported, however frequent: container engines and VPNs add and remove
//! interfaces all day, and the change that matters looks like all others.
//!
//! iroh watches addresses and routes itself and migrates its paths. It does not notice a cable that was unplugged and
//! returns with the same address, or a machine that was asleep.

use std::time::{Duration, SystemTime};

use iroh::{Endpoint, Watcher};
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior, interval, sleep},
};
use tokio_util::sync::CancellationToken;

use crate::net::endpoint::unplugged::OnlyInterface;

/// Interval at which the wall clock and the timer are compared.
const TICK: Duration = Duration::from_secs(1);
/// Delay of a tick from which on the machine is assumed to have been asleep or stopped.
const ASLEEP: Duration = Duration::from_secs(4);
/// Debounce time: changes come in bursts (the link, then its address, then its routes).
const SWARM: Duration = Duration::from_millis(200);
/// Minimum interval between two reports while changes continue.
const APART: Duration = Duration::from_millis(500);

/// Counts changes up in `changes`, until the node shuts down.
pub(in crate::net) async fn watch_changes(endpoint: Endpoint, changes: watch::Sender<u64>, cancel: CancellationToken) {
    let mut addresses = endpoint.watch_addr();
    let mut relays = endpoint.home_relay_status();
    let mut links = links::Links::open();
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut tick = SystemTime::now();
    let mut told: Option<Instant> = None;
    let mut only = send_through(&endpoint, OnlyInterface::default()).await;
    loop {
        let why = tokio::select! {
            () = cancel.cancelled() => return,
            changed = addresses.updated() => match changed {
                Ok(_) => "addresses",
                Err(_) => return,
            },
            changed = relays.updated() => match changed {
                // Losing a relay is no reason to try anything.
                Ok(now) if now.iter().any(|relay| relay.is_connected()) => "relay",
                Ok(_) => continue,
                Err(_) => return,
            },
            () = links.changed() => "links",
            _ = ticks.tick() => {
                let before = std::mem::replace(&mut tick, SystemTime::now());
                match tick.duration_since(before) {
                    Ok(gap) if gap > TICK + ASLEEP => "asleep",
                    // The clock was set back, so the difference says nothing.
                    _ => {
                        if only.is_set() {
                            only = send_through(&endpoint, only).await;
                        }
                        continue;
                    }
                }
            }
        };
        let pause = told.map_or(SWARM, |told| APART.saturating_sub(told.elapsed()).max(SWARM));
        tokio::select! {
            () = sleep(pause) => {}
            () = cancel.cancelled() => return,
        }
        links.drain();
        // The debounce pause must not be taken for sleep.
        tick = SystemTime::now();
        tracing::debug!(why, "the network may have changed");
        endpoint.network_change().await;
        only = send_through(&endpoint, only).await;
        told = Some(Instant::now());
        changes.send_modify(|n| *n += 1);
    }
}

/// Chooses the interface to send through where a cable without a signal keeps its address. Returns what is chosen now. iroh
/// binds its sockets anew when the network changes, at a moment of its own, so this is repeated while one is chosen.
async fn send_through(endpoint: &Endpoint, before: OnlyInterface) -> OnlyInterface {
    let bound = endpoint.bound_sockets();
    tokio::task::spawn_blocking(move || before.update(&bound)).await.unwrap_or(before)
}

#[cfg(target_os = "linux")]
mod links {
    use std::io::ErrorKind;

    use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, netlink, socket_with};
    use tokio::net::UnixDatagram;

    /// Multicast groups of `linux/rtnetlink.h`: links, IPv4 addresses and routes, IPv6 addresses.
    const GROUPS: u32 = 0x1 | 0x10 | 0x40 | 0x100;

    /// Netlink notifications of changed links. Only their arrival matters; their contents are ignored.
    ///
    /// tokio has no type for a netlink socket. It is wrapped as a Unix datagram socket, which behaves the same for
    /// receiving.
    pub struct Links(Option<UnixDatagram>);

    impl Links {
        pub fn open() -> Self {
            match Self::socket() {
                Ok(socket) => Self(Some(socket)),
                Err(error) => {
                    tracing::info!(%error, "the kernel does not tell of changed links");
                    Self(None)
                }
            }
        }

        fn socket() -> std::io::Result<UnixDatagram> {
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            // No protocol means number 0, which is NETLINK_ROUTE.
            let fd = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
            bind(&fd, &netlink::SocketAddrNetlink::new(0, GROUPS))?;
            UnixDatagram::from_std(fd.into())
        }

        pub async fn changed(&mut self) {
            match &self.0 {
                Some(socket) if socket.readable().await.is_ok() => {}
                Some(_) => self.0 = None,
                None => std::future::pending().await,
            }
        }

        /// Discards all notifications that have arrived.
        pub fn drain(&mut self) {
            let Some(socket) = &self.0 else { return };
            let mut buffer = [0_u8; 8192];
            // If the kernel dropped messages it reports an error once. That counts as a change, too.
            for _ in 0..1000 {
                if matches!(socket.try_recv(&mut buffer), Err(error) if error.kind() == ErrorKind::WouldBlock) {
                    break;
                }
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod links {
    /// Other systems rely on iroh's own watch of the addresses.
    pub struct Links;

    impl Links {
        pub fn open() -> Self {
            Self
        }

        pub async fn changed(&mut self) {
            std::future::pending().await
        }

        pub fn drain(&mut self) {}
    }
}
