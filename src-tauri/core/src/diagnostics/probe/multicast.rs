//! Sends multicast packets on every interface, and tests whether they return: the system also delivers them to its own
//! programs, through the same firewall as packets of other machines.
//!
//! Two packets are sent on each interface. One is an ordinary mDNS question. The other one goes to a random port, for
//! which there is no firewall exception, with a TTL of 0, so that it never leaves this machine. If the first is
//! received and the second is not, a firewall drops unsolicited packets.

use std::{
    collections::BTreeSet,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::{
    net::UdpSocket,
    time::{Instant, sleep_until, timeout_at},
};

use crate::{
    clock,
    diagnostics::facts::{Echo, Interface, Multicast},
    discovery::SERVICE_NAME,
};

const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
const MDNS: u16 = 5353;
/// Duration of listening. Machines answer an mDNS question within a fraction of a second.
const LISTEN: Duration = Duration::from_millis(2500);
/// Times at which everything is sent, because packets may be lost.
const AGAIN: [Duration; 3] = [Duration::ZERO, Duration::from_millis(400), Duration::from_millis(1000)];
/// Maximum number of interfaces.
const MAX_INTERFACES: usize = 16;
const MAX_OTHERS: usize = 64;

/// One interface, with the socket and the token of its packets.
struct Voice {
    address: Ipv4Addr,
    token: String,
    mouth: Socket,
    echo: Echo,
}

/// Runs the probe on all of these interfaces.
pub async fn multicast(interfaces: &[Interface]) -> Multicast {
    let own: Vec<IpAddr> = interfaces.iter().flat_map(|one| one.addresses.iter().map(|(ip, _)| *ip)).collect();
    let mut voices: Vec<Voice> = interfaces.iter().filter_map(voice).take(MAX_INTERFACES).collect();
    if voices.is_empty() {
        return Multicast::default();
    }
    let addresses: Vec<Ipv4Addr> = voices.iter().map(|voice| voice.address).collect();
    let ear = match ear(MDNS, &addresses) {
        Ok(ear) => ear,
        Err(error) => return Multicast { deaf: Some(error.into()), ..Multicast::default() },
    };
    // Without this socket the mDNS question is still useful.
    let strange = ear_anywhere(&addresses).ok();
    let others = listen(&mut voices, &ear, strange.as_ref(), &own).await;
    Multicast { interfaces: voices.into_iter().map(|voice| voice.echo).collect(), others, deaf: None }
}

fn voice(interface: &Interface) -> Option<Voice> {
    let address = interface.addresses.iter().find_map(|(ip, _)| match ip {
        IpAddr::V4(v4) if interface.multicast => Some(*v4),
        _ => None,
    })?;
    let random = clock::random::<8>().ok()?;
    let token = format!("yonder-doctor-{}", data_encoding::HEXLOWER.encode(&random));
    let echo = Echo { interface: interface.name.clone(), ..Echo::default() };
    Some(Voice { address, token, mouth: mouth(address).ok()?, echo })
}

fn mouth(address: Ipv4Addr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)).into())?;
    socket.set_multicast_if_v4(&address)?;
    socket.set_multicast_loop_v4(true)?;
    Ok(socket)
}

fn ear(port: u16, addresses: &[Ipv4Addr]) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    socket.set_reuse_address(true)?;
    #[cfg(unix)]
    socket.set_reuse_port(true)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)).into())?;
    for address in addresses {
        // If the group cannot be joined nothing is received, which is then reported.
        let _ = socket.join_multicast_v4(&GROUP, address);
    }
    UdpSocket::from_std(socket.into())
}

fn ear_anywhere(addresses: &[Ipv4Addr]) -> io::Result<(UdpSocket, u16)> {
    let ear = ear(0, addresses)?;
    let port = ear.local_addr()?.port();
    Ok((ear, port))
}

async fn listen(
    voices: &mut [Voice],
    ear: &UdpSocket,
    strange: Option<&(UdpSocket, u16)>,
    own: &[IpAddr],
) -> Vec<IpAddr> {
    let mut others = BTreeSet::new();
    if strange.is_some() {
        voices.iter_mut().for_each(|voice| voice.echo.unasked = Some(false));
    }
    let begun = Instant::now();
    let end = begun + LISTEN;
    let (mut heard, mut heard_strange) = (vec![0; 9000], vec![0; 1500]);
    let mut next = AGAIN.into_iter();
    let mut due = next.next();
    loop {
        let from_strange = async {
            match strange {
                Some((ear, _)) => ear.recv_from(&mut heard_strange).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = sleep_until(begun + due.unwrap_or(LISTEN)), if due.is_some() => {
                voices.iter_mut().for_each(|voice| say(voice, strange.map(|(_, port)| *port)));
                due = next.next();
            }
            got = timeout_at(end, ear.recv_from(&mut heard)) => match got {
                Err(_) => break,
                Ok(Ok((length, from))) => {
                    let packet = heard.get(..length).unwrap_or_default();
                    note(voices, packet, |echo| echo.mdns = true);
                    if !own.contains(&from.ip()) && !from.ip().is_loopback() && others.len() < MAX_OTHERS {
                        others.insert(from.ip());
                    }
                }
                Ok(Err(_)) => {}
            },
            got = from_strange => if let Ok((length, _)) = got {
                note(voices, heard_strange.get(..length).unwrap_or_default(), |echo| echo.unasked = Some(true));
            },
        }
    }
    others.into_iter().collect()
}

fn say(voice: &mut Voice, strange: Option<u16>) {
    let to_all = SocketAddr::from((GROUP, MDNS));
    let asked = voice
        .mouth
        .set_multicast_ttl_v4(255)
        .and_then(|()| voice.mouth.send_to(&question(&voice.token), &to_all.into()));
    if let Err(error) = asked {
        voice.echo.refusal = Some(error.to_string());
    }
    if let Some(port) = strange {
        let nowhere = SocketAddr::from((GROUP, port));
        let _ = voice
            .mouth
            .set_multicast_ttl_v4(0)
            .and_then(|()| voice.mouth.send_to(voice.token.as_bytes(), &nowhere.into()));
    }
}

fn note(voices: &mut [Voice], packet: &[u8], mark: impl Fn(&mut Echo)) {
    for voice in voices {
        let token = voice.token.as_bytes();
        if packet.windows(token.len()).any(|part| part == token) {
            mark(&mut voice.echo);
        }
    }
}

/// Encodes an mDNS question for all services, for Yonder devices, and for a random name by which our own packet is
/// recognized.
fn question(token: &str) -> Vec<u8> {
    const PTR: u16 = 12;
    const IN: u16 = 1;
    let service = format!("_{SERVICE_NAME}");
    let names: [&[&str]; 3] =
        [&["_services", "_dns-sd", "_udp", "local"], &[&service, "_udp", "local"], &[token, "local"]];
    let mut packet = vec![0, 0, 0, 0, 0, names.len() as u8, 0, 0, 0, 0, 0, 0];
    for name in names {
        for label in name {
            // Our own labels, which are short.
            packet.push(label.len().min(63) as u8);
            packet.extend(&label.as_bytes()[..label.len().min(63)]);
        }
        packet.push(0);
        packet.extend(PTR.to_be_bytes());
        packet.extend(IN.to_be_bytes());
    }
    packet
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_question_is_one_of_mdns() {
        let packet = question("yonder-doctor-0011");
        assert_eq!(packet[..12], [0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0]);
        assert!(packet.windows(8).any(|part| part == b"\x08_yonder"));
        assert!(packet.ends_with(b"\x12yonder-doctor-0011\x05local\x00\x00\x0c\x00\x01"));
    }

    #[tokio::test]
    async fn without_interfaces_there_is_nothing_to_hear() {
        assert_eq!(multicast(&[]).await, Multicast::default());
        let deaf =
            Interface { name: "x".into(), addresses: vec![("127.0.0.1".parse().unwrap(), 8)], ..Interface::default() };
        assert!(multicast(&[deaf]).await.interfaces.is_empty(), "it cannot speak to many");
    }
}
