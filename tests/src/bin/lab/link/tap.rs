//! TAP devices: frames sent into one can be read here, and frames written here arrive there.

use std::{
    fs::{File, OpenOptions},
    os::unix::fs::OpenOptionsExt,
};

use rustix::{
    fs::OFlags,
    ioctl::{Opcode, Setter, ioctl},
};

/// `TUNSETIFF`: makes this descriptor a device.
const TUNSETIFF: Opcode = 0x4004_54ca;
/// `TUNSETOFFLOAD`: says which work the reader takes over from the kernel.
const TUNSETOFFLOAD: Opcode = 0x4004_54d0;
/// `IFF_TAP`: Ethernet frames.
const TAP: u16 = 0x0002;
/// `IFF_NO_PI`: no packet information header before each frame.
const NO_PI: u16 = 0x1000;
/// `IFF_VNET_HDR`: each frame is preceded by `struct virtio_net_hdr`, which describes the work left to the device.
const VNET_HDR: u16 = 0x4000;
/// `TUN_F_*` flags: checksums, TCP segmentation over IPv4 and IPv6, and UDP segmentation.
const CHECKSUMS: usize = 0x01;
const TCP: usize = 0x02 | 0x04;
const UDP: usize = 0x20 | 0x40;
/// Length of `struct virtio_net_hdr`, in bytes.
pub const HEADER: usize = 10;

/// The used part of `struct ifreq`: a name and flags.
#[repr(C)]
struct Request {
    name: [u8; 16],
    flags: u16,
    rest: [u8; 22],
}

/// Creates a non-blocking device with this name. With `together`, frames that one program sent at once arrive as one,
/// as between a driver and a network card, and are counted by their segments.
pub fn open(name: &str, together: bool) -> File {
    let device = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(OFlags::NONBLOCK.bits() as i32)
        .open("/dev/net/tun")
        .unwrap_or_else(|error| panic!("/dev/net/tun: {error}; a line takes the right to use it (modprobe tun)"));
    let mut request = Request { name: [0; 16], flags: TAP | NO_PI | VNET_HDR, rest: [0; 22] };
    assert!(name.len() < request.name.len(), "a name of 15 bytes at most: {name}");
    request.name[..name.len()].copy_from_slice(name.as_bytes());
    become_device(&device, request).unwrap_or_else(|error| panic!("{name}: {error}"));
    let offload = CHECKSUMS | if together { TCP | UDP } else { 0 };
    leave_to_reader(&device, offload)
        .unwrap_or_else(|error| panic!("{name}: no frames that were put together: {error}"));
    device
}

#[allow(unsafe_code)]
fn become_device(device: &File, request: Request) -> rustix::io::Result<()> {
    // SAFETY: `TUNSETIFF` reads a `struct ifreq`, whose size and beginning `Request` has, and keeps no pointer to it.
    unsafe { ioctl(device, Setter::<TUNSETIFF, Request>::new(request)) }
}

#[allow(unsafe_code)]
fn leave_to_reader(device: &File, what: usize) -> rustix::io::Result<()> {
    // SAFETY: `TUNSETOFFLOAD` takes a number in place of a pointer.
    unsafe { ioctl(device, rustix::ioctl::IntegerSetter::<TUNSETOFFLOAD>::new_usize(what)) }
}

/// Returns the bytes on the wire of a read, counting each segment with its headers.
pub fn on_the_wire(read: &[u8]) -> u64 {
    let number = |at: usize| u64::from(u16::from_ne_bytes([read[at], read[at + 1]]));
    let whole = (read.len() - HEADER) as u64;
    // `hdr_len`, `gso_size`, `csum_start`, `csum_offset`.
    let (part, transport, checksum) = (number(4), number(6), number(8));
    if read[1] == 0 || part == 0 {
        return whole;
    }
    // The UDP checksum is at offset 6 of the 8-byte header; the TCP checksum is at offset 16, and the header length
    // precedes it.
    let header = transport
        + match checksum {
            6 => 8,
            _ => read.get(HEADER + transport as usize + 12).map_or(20, |byte| u64::from(byte >> 4) * 4),
        };
    let parts = whole.saturating_sub(header).div_ceil(part).max(1);
    whole + (parts - 1) * header
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, part: u16, transport: u16, checksum: u16, length: usize) -> Vec<u8> {
        let mut frame = vec![0, kind, 0, 0];
        for number in [part, transport, checksum] {
            frame.extend(number.to_ne_bytes());
        }
        frame.resize(HEADER + length, 0x50);
        frame
    }

    #[test]
    fn parts_are_counted_with_their_headers() {
        assert_eq!(on_the_wire(&frame(0, 0, 34, 6, 60)), 60);
        // Ten packets of 1,200 bytes and one of 5, each with 42 bytes of headers.
        assert_eq!(on_the_wire(&frame(5, 1200, 34, 6, 42 + 12_005)), 11 * 42 + 12_005);
        // Three TCP segments, with headers of 20 bytes.
        assert_eq!(on_the_wire(&frame(1, 1448, 34, 16, 54 + 3 * 1448)), 3 * (54 + 1448));
    }
}
