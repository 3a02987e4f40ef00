use super::*;

const SERVICE: &str = "yonder1";

fn full() -> Instance {
    Instance {
        label: [7; 32],
        ttl: 15,
        addresses: ["10.77.0.1:11204", "[fe80::1]:11204", "[fe80::1]:40000"].map(|text| text.parse().unwrap()).to_vec(),
        user_data: Some("y1lp Büro ☕".into()),
        beacon: Some((0..=191).collect()),
    }
}

#[test]
fn an_announcement_comes_back_as_it_was() {
    for instance in [full(), Instance { label: [1; 32], ttl: 0, ..Instance::default() }] {
        let bytes = announcement(SERVICE, &instance);
        assert_eq!(read(SERVICE, &bytes), Packet { questions: Vec::new(), instances: vec![instance] });
        assert_eq!(read("other", &bytes), Packet::default());
    }
    let many = Instance { addresses: vec![SocketAddr::new(Ipv6Addr::LOCALHOST.into(), 1); 40], ..full() };
    let bytes = announcement(SERVICE, &many);
    assert!(bytes.len() < 1200, "{} bytes are too many for one packet", bytes.len());
    assert_eq!(read(SERVICE, &bytes).instances[0].addresses.len(), MAX_ANNOUNCED);
}

#[test]
fn questions_come_back_as_they_were() {
    for asked in [Question::Browse, Question::Instance([9; 32])] {
        assert_eq!(read(SERVICE, &question(SERVICE, asked)).questions, [asked]);
    }
}

#[test]
fn nothing_that_is_cut_or_bent_panics_or_goes_round_in_circles() {
    let whole = announcement(SERVICE, &full());
    for cut in 0..whole.len() {
        read(SERVICE, &whole[..cut]);
        for bit in 0..8 {
            let mut bent = whole.clone();
            bent[cut] ^= 1 << bit;
            read(SERVICE, &bent);
        }
    }
    // Pointers to themselves, to each other, and forwards.
    for name in [&[0xc0, 12][..], &[0xc0, 14, 0xc0, 12], &[1, b'a', 0xc0, 12], &[0xc0, 40], &[0xff, 0xff], &[0x40, 0]] {
        let mut bytes = vec![0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        bytes.extend(name);
        bytes.extend([0, 12, 0, 1]);
        assert_eq!(read(SERVICE, &bytes), Packet::default(), "{name:?}");
    }
    // A small packet that claims to hold 65,535 records of each kind.
    assert_eq!(read(SERVICE, &[0xff; 12]), Packet::default());
}

#[test]
fn what_is_kept_of_one_packet_is_bounded() {
    let mut bytes = vec![0, 0, 0x84, 0, 0, 0, 0, 200, 0, 0, 0, 0];
    for number in 0..200u8 {
        let mut out = PacketWriter { bytes, names: Vec::new() };
        out.record(&instance_name(SERVICE, &[number; 32]), SRV, 1, |out| out.bytes.extend([0, 0, 0, 0, 0, 1, 0]));
        bytes = out.bytes;
    }
    assert_eq!(read(SERVICE, &bytes).instances.len(), MAX_INSTANCES);
}

proptest::proptest! {
    #[test]
    fn no_bytes_at_all_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..600)) {
        let packet = read(SERVICE, &bytes);
        proptest::prop_assert!(packet.instances.len() <= MAX_INSTANCES);
    }
}
