//! Notices that this machine may be on another network than before, or was asleep: a reason to look at every connection
//! and to try absent devices. Each change is told, however many there were before it: container engines and VPNs make and
//! remove interfaces all day, and the one that matters looks like all others.
//!
//! iroh watches addresses and routes by itself and moves its paths. What it does not tell: a cable that was out and is
//! back with the same address, and a machine that was asleep.

use std::time::{Duration, SystemTime};

use iroh::{Endpoint, Watcher};
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior, interval, sleep},
};
use tokio_util::sync::CancellationToken;

use super::unplugged::OnlyInterface;

/// Clocks are compared this often.
const TICK: Duration = Duration::from_secs(1);
/// A tick that comes so much too late means that the machine was asleep or stopped.
const ASLEEP: Duration = Duration::from_secs(4);
/// Changes come in swarms: the link, then its address, then its routes.
const SWARM: Duration = Duration::from_millis(200);
/// Where changes do not end, they are told this often.
const APART: Duration = Duration::from_millis(500);

/// Until the end: counts changes up.
pub(super) async fn watch_changes(endpoint: Endpoint, changes: watch::Sender<u64>, cancel: CancellationToken) {
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
                // One that is lost is no reason to try anything.
                Ok(now) if now.iter().any(|relay| relay.is_connected()) => "relay",
                Ok(_) => continue,
                Err(_) => return,
            },
            () = links.changed() => "links",
            _ = ticks.tick() => {
                let before = std::mem::replace(&mut tick, SystemTime::now());
                match tick.duration_since(before) {
                    Ok(gap) if gap > TICK + ASLEEP => "asleep",
                    // Somebody has set the clock back: as it was set, time says nothing.
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
        // What passed while it was held back was no sleep.
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

    /// Of `linux/rtnetlink.h`: links, IPv4 addresses and routes, IPv6 addresses.
    const GROUPS: u32 = 0x1 | 0x10 | 0x40 | 0x100;

    /// What the kernel tells of this machine's links. Only that something came is looked at.
    ///
    /// The socket is one of netlink. It is read as if it were a Unix one, which for receiving datagrams is the same, since
    /// tokio has no type for it.
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
            // No protocol means number 0, which among netlink's is routing.
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

        /// Forgets what has been told until now.
        pub fn drain(&mut self) {
            let Some(socket) = &self.0 else { return };
            let mut buffer = [0_u8; 8192];
            // A kernel that had to leave messages out says so by an error, once: whatever it was, it was a change as well.
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
    /// Elsewhere iroh's own watch over addresses has to do.
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
