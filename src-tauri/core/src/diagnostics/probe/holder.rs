//! Finds the program that holds a UDP port.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

use crate::diagnostics::facts::Holder;

/// Binds the port for a moment, if no node holds it.
///
/// # Errors
/// The error of the system.
pub fn try_port(bind: Option<IpAddr>, port: u16) -> Result<(), std::io::Error> {
    UdpSocket::bind(SocketAddr::new(bind.unwrap_or(Ipv4Addr::UNSPECIFIED.into()), port)).map(drop)
}

/// Returns the program that holds this UDP port, if it is another process and the system tells. Reads many small files,
/// so it must not run on the runtime's threads.
#[cfg(target_os = "linux")]
pub fn holder(port: u16) -> Option<Holder> {
    let tables = ["/proc/net/udp", "/proc/net/udp6"];
    let texts = tables.iter().filter_map(|table| std::fs::read_to_string(table).ok());
    let sockets: Vec<(u32, u64)> = texts.flat_map(|text| sockets_on(&text, port)).collect();
    let &(user, _) = sockets.first()?;
    let own = rustix::process::getuid().as_raw();
    let other = (user != own).then_some(user);
    for (_, inode) in &sockets {
        if let Some((pid, program)) = process_with(*inode) {
            // The port belongs to a node in this process.
            if pid == std::process::id() {
                return None;
            }
            return Some(Holder { program: Some(program), pid: Some(pid), user: other });
        }
    }
    Some(Holder { program: None, pid: None, user: other })
}

/// Returns nothing: other systems are not asked.
#[cfg(not(target_os = "linux"))]
pub fn holder(_: u16) -> Option<Holder> {
    None
}

/// Parses users and inodes of the sockets on this port from a kernel table.
#[cfg(target_os = "linux")]
fn sockets_on(table: &str, port: u16) -> Vec<(u32, u64)> {
    let row = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let local = fields.get(1)?.rsplit_once(':')?.1;
        (u16::from_str_radix(local, 16).ok()? == port).then_some(())?;
        Some((fields.get(7)?.parse().ok()?, fields.get(9)?.parse().ok()?))
    };
    table.lines().skip(1).filter_map(row).collect()
}

/// Finds the process that has this socket open. Without administrator rights only the user's own processes are visible.
#[cfg(target_os = "linux")]
fn process_with(inode: u64) -> Option<(u32, String)> {
    let wanted = format!("socket:[{inode}]");
    for entry in std::fs::read_dir("/proc").ok()?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let Ok(open) = std::fs::read_dir(entry.path().join("fd")) else { continue };
        let mut links = open.flatten().filter_map(|file| std::fs::read_link(file.path()).ok());
        if links.any(|link| link.as_os_str() == wanted.as_str()) {
            let name = std::fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
            // A program chooses its own name.
            let name: String = name.trim().chars().filter(|c| !c.is_control()).take(64).collect();
            return Some((pid, name));
        }
    }
    None
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_the_kernels_table_is_read_and_nonsense_is_not() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref\n\
                     1: 00000000:2BC4 00000000:0000 07 00000000:00000000 00:00000000 00000000  1000        0 4242 2 0\n\
                     2: 00000000:14E9 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 17 2 0\n\
                     nonsense\n3: x:y\n4: 0:2BC4 1\n";
        assert_eq!(sockets_on(table, 11204), [(1000, 4242)]);
        assert!(sockets_on(table, 1).is_empty());
    }

    #[test]
    fn a_port_that_is_held_cannot_be_tried_and_ours_is_nobody_elses() {
        let held = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = held.local_addr().unwrap().port();
        assert!(try_port(Some(Ipv4Addr::LOCALHOST.into()), port).is_err());
        assert_eq!(holder(port), None, "this process is not another one");
        drop(held);
        assert!(try_port(Some(Ipv4Addr::LOCALHOST.into()), port).is_ok());
    }
}
