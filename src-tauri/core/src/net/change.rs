//! Notices that this machine may be on another network than before, or was asleep: a reason to look at every connection
//! and to try absent devices at once.
//!
//! iroh watches addresses and routes by itself and moves its paths. What it does not tell: a cable that was out and is
//! back with the same address, and a machine that was asleep.

use std::time::{Duration, SystemTime};

use iroh::{Endpoint, Watcher};
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval, sleep},
};
use tokio_util::sync::CancellationToken;

/// Clocks are compared this often.
const TICK: Duration = Duration::from_secs(1);
/// A tick that comes so much too late means that the machine was asleep or stopped.
const ASLEEP: Duration = Duration::from_secs(4);
/// Changes come in swarms: the link, then its address, then its routes.
const SWARM: Duration = Duration::from_millis(200);
/// So many changes are told at once, and one more each [`REFILL`]: a machine on which virtual networks come and go is not
/// to dial absent devices all the time.
const BURST: u32 = 6;
const REFILL: Duration = Duration::from_secs(20);

/// Until the end: counts changes up.
pub(super) async fn watch_changes(endpoint: Endpoint, changes: watch::Sender<u64>, cancel: CancellationToken) {
    let mut addresses = endpoint.watch_addr();
    let mut relays = endpoint.home_relay_status();
    let mut links = links::Links::open();
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut tick = SystemTime::now();
    let mut allowance = Allowance { left: BURST, since: tick };
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
                    _ => continue,
                }
            }
        };
        let wait = allowance.take(SystemTime::now());
        tokio::select! {
            () = sleep(SWARM + wait) => {}
            () = cancel.cancelled() => return,
        }
        links.drain();
        // What passed while it was held back was no sleep.
        tick = SystemTime::now();
        tracing::debug!(why, "the network may have changed");
        endpoint.network_change().await;
        changes.send_modify(|n| *n += 1);
    }
}

/// How many changes may still be told.
struct Allowance {
    left: u32,
    since: SystemTime,
}

impl Allowance {
    /// Takes one, and says how long it has to be waited for.
    fn take(&mut self, now: SystemTime) -> Duration {
        // A clock that was set back gives nothing and takes nothing.
        let passed = now.duration_since(self.since).unwrap_or_default();
        let more = (passed.as_secs() / REFILL.as_secs()).min(u64::from(BURST)) as u32;
        if more > 0 || now < self.since {
            self.since = now;
            self.left = (self.left + more).min(BURST);
        }
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                Duration::ZERO
            }
            None => REFILL,
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_changes_are_told_at_once_and_many_are_held_back() {
        let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let mut allowance = Allowance { left: BURST, since: start };
        let waits: Vec<_> = (0..8).map(|_| allowance.take(start)).collect();
        assert_eq!(waits[..6], [Duration::ZERO; 6]);
        assert_eq!(waits[6..], [REFILL; 2]);
        assert_eq!(allowance.take(start + REFILL), Duration::ZERO);
        assert_eq!(allowance.take(start + REFILL), REFILL);
        assert_eq!(allowance.take(start + 100 * REFILL), Duration::ZERO);
        let back = start - Duration::from_secs(500_000);
        assert_eq!((0..7).map(|_| allowance.take(back)).filter(|wait| wait.is_zero()).count(), 5);
    }
}
