//! A packet capture in tcpdump's format, for places where tcpdump cannot run.

use std::{
    io::Write,
    num::NonZeroU32,
    sync::{Arc, Mutex},
    time::{SystemTime, UNIX_EPOCH},
};

use rustix::net::{AddressFamily, Protocol, RecvFlags, SocketFlags, SocketType, recv, socket_with};

/// `ETH_P_ALL` (all protocols), in network byte order.
const ALL: u32 = 3u16.to_be() as u32;

/// Writes frames until it is interrupted.
pub fn run() {
    let all = Protocol::from_raw(NonZeroU32::new(ALL).expect("not zero"));
    let socket = socket_with(AddressFamily::PACKET, SocketType::RAW, SocketFlags::empty(), Some(all))
        .expect("a socket that hears everything takes the right to");
    let _ = rustix::net::sockopt::set_socket_recv_buffer_size(&socket, 64 << 20);
    let out = Arc::new(Mutex::new(std::io::BufWriter::new(std::io::stdout())));
    let at_the_end = out.clone();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a thread");
        let _ = runtime.block_on(tokio::signal::ctrl_c());
        // Exits between two frames, so that the last one is complete.
        let mut out = at_the_end.lock().unwrap();
        let _ = out.flush();
        std::process::exit(0);
    });
    let header = [0xa1b2_c3d4, 2 | 4 << 16, 0, 0, 262_144, 1u32].map(u32::to_ne_bytes).concat();
    out.lock().unwrap().write_all(&header).expect("somebody reads");
    eprintln!("listening on all interfaces");
    let mut frame = vec![0; 262_144];
    loop {
        let (count, _) = recv(&socket, frame.as_mut_slice(), RecvFlags::empty()).expect("frames");
        // Frames on the loopback interface, whose addresses are zero, do not pass a cable.
        if frame[..12] == [0; 12] {
            continue;
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let length = count as u32;
        let head = [now.as_secs() as u32, now.subsec_micros(), length, length].map(u32::to_ne_bytes).concat();
        let mut out = out.lock().unwrap();
        let written = out.write_all(&head).and_then(|()| out.write_all(&frame[..count])).and_then(|()| out.flush());
        if written.is_err() {
            return;
        }
    }
}
