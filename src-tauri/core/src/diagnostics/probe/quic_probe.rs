//! QUIC probe of an address, without authentication: a QUIC endpoint answers an unknown version with Version
//! Negotiation. That proves that packets pass in both directions, but not which device answers.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use futures_util::future::join_all;
use tokio::{
    net::UdpSocket,
    time::{Instant, sleep_until, timeout_at},
};

use crate::{
    clock,
    diagnostics::facts::{ProbeResult, ProbedAddress},
};

/// Longest wait for an answer. The system notices an absent machine within 3 s.
const PROBE_TIMEOUT: Duration = Duration::from_millis(3500);
/// Times at which the packet is sent, because it may be lost.
const AGAIN: [Duration; 3] = [Duration::ZERO, Duration::from_millis(500), Duration::from_millis(1500)];
/// Length of the packet in bytes. Shorter ones may not begin a connection, and get no answer (RFC 9000, section 14.1).
const LENGTH: usize = 1200;
/// Version number that is reserved and never supported (RFC 9000, section 15).
const NO_VERSION: [u8; 4] = [0x1a, 0x2a, 0x3a, 0x4a];

/// Probes several addresses in parallel.
pub async fn probe_all(addresses: Vec<SocketAddr>) -> Vec<ProbedAddress> {
    join_all(addresses.into_iter().map(|at| async move { ProbedAddress { at, result: probe_quic(at).await } })).await
}

/// Probes one address.
pub async fn probe_quic(at: SocketAddr) -> ProbeResult {
    match ask(at).await {
        Ok(ProbeResult::Silent) if has_no_owner(at.ip()) => ProbeResult::Nobody,
        Ok(result) => result,
        Err(error) => match error.kind() {
            // Errors of a prohibiting or blackhole route, or of a firewall rule for outgoing packets.
            io::ErrorKind::PermissionDenied | io::ErrorKind::InvalidInput => ProbeResult::Rejected,
            io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset => ProbeResult::NothingListens,
            io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable | io::ErrorKind::AddrNotAvailable => {
                ProbeResult::Nobody
            }
            _ => ProbeResult::Silent,
        },
    }
}

/// True if address resolution (ARP) for this address has failed. The system does not report that to a socket.
#[cfg(target_os = "linux")]
fn has_no_owner(address: IpAddr) -> bool {
    // procfs is in memory, so this does not wait for a disk.
    std::fs::read_to_string("/proc/net/arp").is_ok_and(|table| is_unanswered(&table, address))
}

/// Returns false: other systems' tables are not read.
#[cfg(not(target_os = "linux"))]
fn has_no_owner(_: IpAddr) -> bool {
    false
}

/// Parses the ARP table: address, hardware type, flags, hardware address. Without the flag for a complete entry nobody
/// has answered.
#[cfg(target_os = "linux")]
fn is_unanswered(table: &str, address: IpAddr) -> bool {
    let address = address.to_string();
    table.lines().skip(1).any(|row| {
        let mut fields = row.split_whitespace();
        fields.next() == Some(&address) && fields.nth(1) == Some("0x0")
    })
}

async fn ask(at: SocketAddr) -> io::Result<ProbeResult> {
    let own: IpAddr = if at.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((own, 0)).await?;
    // Connected, so that the system reports ICMP errors and its own. Nothing has been sent yet, so "host unreachable"
    // comes from a route of this machine.
    if let Err(error) = socket.connect(at).await {
        return if error.kind() == io::ErrorKind::HostUnreachable { Ok(ProbeResult::Rejected) } else { Err(error) };
    }
    let ids: [u8; 16] = random()?;
    let packet = packet(&ids);
    let begun = Instant::now();
    let end = begun + PROBE_TIMEOUT;
    let mut heard = [0; 1500];
    let mut next = AGAIN.into_iter();
    let mut due = next.next();
    loop {
        tokio::select! {
            () = sleep_until(begun + due.unwrap_or(PROBE_TIMEOUT)), if due.is_some() => {
                socket.send(&packet).await?;
                due = next.next();
            }
            answer = timeout_at(end, socket.recv(&mut heard)) => match answer {
                Err(_) => return Ok(ProbeResult::Silent),
                Ok(length) => {
                    let length = length?;
                    if heard.get(..length).is_some_and(|answer| answers(answer, &ids)) {
                        return Ok(ProbeResult::Answered(begun.elapsed()));
                    }
                }
            },
        }
    }
}

fn random<const N: usize>() -> io::Result<[u8; N]> {
    clock::random().map_err(io::Error::other)
}

/// Builds a packet with a long header, an unsupported version, and two connection ids of eight bytes.
fn packet(ids: &[u8; 16]) -> Vec<u8> {
    let mut packet = vec![0xc0];
    packet.extend(NO_VERSION);
    for id in ids.chunks(8) {
        packet.push(8);
        packet.extend(id);
    }
    packet.resize(LENGTH, 0);
    packet
}

/// True if the answer is the Version Negotiation packet for these ids, in which they are swapped.
fn answers(answer: &[u8], ids: &[u8; 16]) -> bool {
    let (theirs, ours) = ids.split_at(8);
    let Some((head, rest)) = answer.split_at_checked(5) else { return false };
    head[0] & 0x80 != 0
        && head[1..] == [0; 4]
        && rest.first() == Some(&8)
        && rest.get(1..9) == Some(ours)
        && rest.get(9) == Some(&8)
        && rest.get(10..18) == Some(theirs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_quic_endpoint_answers_a_closed_port_refuses_and_a_mute_one_is_silent() {
        let quic = iroh::Endpoint::builder(iroh::endpoint::presets::Minimal)
            .crypto_provider(std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .alpns(vec![b"x".to_vec()])
            .bind()
            .await
            .unwrap();
        let port = quic.bound_sockets().iter().find(|at| at.is_ipv4()).unwrap().port();
        let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        assert!(matches!(probe_quic(local(port)).await, ProbeResult::Answered(_)));
        quic.close().await;
        let closed = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        assert_eq!(probe_quic(closed).await, ProbeResult::NothingListens);
        let mute = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        assert_eq!(probe_quic(mute.local_addr().unwrap()).await, ProbeResult::Silent);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn who_did_not_answer_the_network_is_not_there() {
        let table = "IP address       HW type     Flags       HW address            Mask     Device\n\
                     10.77.0.2        0x1         0x0         00:00:00:00:00:00     *        eth0\n\
                     10.77.0.3        0x1         0x2         0a:00:00:00:00:03     *        eth0\nnonsense\n";
        let vain = |address: &str| is_unanswered(table, address.parse().unwrap());
        assert_eq!((vain("10.77.0.2"), vain("10.77.0.3"), vain("10.77.0.4")), (true, false, false));
    }

    #[test]
    fn only_an_answer_to_this_very_question_counts() {
        let ids: [u8; 16] = std::array::from_fn(|n| n as u8);
        let mut answer = vec![0xff, 0, 0, 0, 0, 8];
        answer.extend(&ids[8..]);
        answer.push(8);
        answer.extend(&ids[..8]);
        answer.extend([0, 0, 0, 1]);
        assert!(answers(&answer, &ids));
        for length in 0..23 {
            assert!(!answers(&answer[..length.min(22)], &[9; 16]));
            let _ = answers(&answer[..length], &ids);
        }
        let echoed = packet(&ids);
        assert!(!answers(&echoed, &ids), "an echo is no answer");
    }
}
