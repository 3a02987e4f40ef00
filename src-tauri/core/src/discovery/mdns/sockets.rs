//! Sockets on port 5353, shared with other mDNS programs of this machine, and membership of both groups on every link.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6},
};

use socket2::{Domain, InterfaceIndexOrAddress, Protocol, SockRef, Socket, Type};
use tokio::net::UdpSocket;

use super::{links::NetworkLink, plan::Family};

const PORT: u16 = 5353;
const GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb);
/// TTL of packets (RFC 6762), so that a forwarded packet is not taken for one of a neighbour.
const HOPS: u32 = 255;
/// Receive buffer in bytes, for bursts of announcements.
const BUFFER: usize = 512 * 1024;

/// One socket for each address family.
#[derive(Debug)]
pub struct Sockets {
    v4: Option<UdpSocket>,
    v6: Option<UdpSocket>,
}

impl Sockets {
    /// Opens the sockets that can be opened.
    ///
    /// # Errors
    /// When none can be opened.
    pub fn open() -> io::Result<Self> {
        match (open_v4(), open_v6()) {
            (Err(error), Err(_)) => Err(error),
            (v4, v6) => Ok(Self { v4: v4.ok(), v6: v6.ok() }),
        }
    }

    /// Joins the groups on a link. A membership does not survive the removal of the interface, and a switch may have
    /// forgotten it, so an existing one is left first.
    pub fn join(&self, index: u32, link: &NetworkLink) {
        self.leave(index);
        let interface = InterfaceIndexOrAddress::Index(index);
        if let Some(socket) = self.v4.as_ref().filter(|_| link.v4().is_some())
            && let Err(error) = SockRef::from(socket).join_multicast_v4_n(&GROUP_V4, &interface)
        {
            tracing::debug!(index, %error, "no IPv4 multicast here");
        }
        if let Some(socket) = self.v6.as_ref().filter(|_| link.v6())
            && let Err(error) = SockRef::from(socket).join_multicast_v6(&GROUP_V6, index)
        {
            tracing::debug!(index, %error, "no IPv6 multicast here");
        }
    }

    /// Leaves the groups on a link.
    pub fn leave(&self, index: u32) {
        // Fails if nothing was joined, or if the interface and its membership are gone.
        if let Some(socket) = &self.v4 {
            let _ = SockRef::from(socket).leave_multicast_v4_n(&GROUP_V4, &InterfaceIndexOrAddress::Index(index));
        }
        if let Some(socket) = &self.v6 {
            let _ = SockRef::from(socket).leave_multicast_v6(&GROUP_V6, index);
        }
    }

    /// Sends to a group on a link. Failures are ignored, because packets may be lost anyway.
    pub async fn send(&self, index: u32, link: &NetworkLink, family: Family, packet: &[u8]) {
        let sent = match family {
            Family::V4 => self.send_v4(link, packet).await,
            Family::V6 => self.send_v6(index, link, packet).await,
        };
        if let Err(error) = sent {
            tracing::debug!(index, ?family, %error, "a multicast packet did not go out");
        }
    }

    async fn send_v4(&self, link: &NetworkLink, packet: &[u8]) -> io::Result<()> {
        let (Some(socket), Some(from)) = (&self.v4, link.v4()) else { return Ok(()) };
        SockRef::from(socket).set_multicast_if_v4(&from)?;
        socket.send_to(packet, SocketAddr::new(IpAddr::V4(GROUP_V4), PORT)).await.map(drop)
    }

    async fn send_v6(&self, index: u32, link: &NetworkLink, packet: &[u8]) -> io::Result<()> {
        let Some(socket) = self.v6.as_ref().filter(|_| link.v6()) else { return Ok(()) };
        SockRef::from(socket).set_multicast_if_v6(index)?;
        socket.send_to(packet, SocketAddrV6::new(GROUP_V6, PORT, 0, index)).await.map(drop)
    }

    /// Receives the next packet: its length, its sender and its group.
    pub async fn receive(&self, buffers: &mut [Vec<u8>; 2]) -> (Family, io::Result<(usize, SocketAddr)>) {
        let [buffer_v4, buffer_v6] = buffers;
        tokio::select! {
            got = receive(self.v4.as_ref(), buffer_v4) => (Family::V4, got),
            got = receive(self.v6.as_ref(), buffer_v6) => (Family::V6, got),
        }
    }
}

async fn receive(socket: Option<&UdpSocket>, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
    match socket {
        Some(socket) => socket.recv_from(buffer).await,
        None => std::future::pending().await,
    }
}

fn open_v4() -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_multicast_loop_v4(true)?;
    socket.set_multicast_ttl_v4(HOPS)?;
    bound(socket, SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), PORT))
}

fn open_v6() -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV6, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_only_v6(true)?;
    socket.set_multicast_loop_v6(true)?;
    socket.set_multicast_hops_v6(HOPS)?;
    bound(socket, SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), PORT))
}

fn bound(socket: Socket, at: SocketAddr) -> io::Result<UdpSocket> {
    socket.set_reuse_address(true)?;
    #[cfg(unix)]
    socket.set_reuse_port(true)?;
    // A request only: the system may grant less.
    let _ = socket.set_recv_buffer_size(BUFFER);
    socket.set_nonblocking(true)?;
    socket.bind(&at.into())?;
    UdpSocket::from_std(socket.into())
}
