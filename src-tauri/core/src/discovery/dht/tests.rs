//! Tests with a DHT of real nodes on this machine.

use n0_mainline::Testnet;

use super::*;

const TEST_TIMEOUT: Duration = Duration::from_secs(30);

async fn net() -> (Testnet, DhtEntry) {
    let net = Testnet::new(4).await.unwrap();
    let entry = DhtEntry::Own(net.bootstrap.clone());
    (net, entry)
}

fn packet(key: &SecretKey, text: &str) -> SignedPacket {
    SignedPacket::from_txt_strings(key, "_x", [text], 30).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_leaves_another_finds_and_nothing_is_an_answer() {
    let (_net, entry) = net().await;
    let (one, two) = (MainlineDht::new(entry.clone()), MainlineDht::new(entry));
    let key = SecretKey::from_bytes(&[5; 32]);
    let nothing = tokio::time::timeout(TEST_TIMEOUT, two.look_up(key.public())).await.unwrap().unwrap();
    assert!(nothing.packets.is_empty());
    one.publish(packet(&key, "y")).await.unwrap();
    let found = tokio::time::timeout(TEST_TIMEOUT, two.look_up(key.public())).await.unwrap().unwrap();
    assert_eq!(found.packets.len(), 1);
    assert_eq!(found.packets[0].all_txt_records()[0].1, "y");
}

#[tokio::test]
async fn where_no_node_answers_it_is_not_nothing_that_is_found() {
    let nobody = MainlineDht::new(DhtEntry::Own(vec!["127.0.0.1:9".into()]));
    let key = SecretKey::from_bytes(&[5; 32]);
    assert!(nobody.look_up(key.public()).await.is_err());
    assert!(nobody.publish(packet(&key, "y")).await.is_err());
}

#[test]
fn an_item_with_a_wrong_signature_is_none() {
    let key = SecretKey::from_bytes(&[5; 32]);
    let packet = packet(&key, "y");
    let item = |seq, signature| {
        MutableItem::new_signed_unchecked(*key.public().as_bytes(), signature, packet.encoded_packet(), seq, None)
    };
    let (seq, signature) = (packet.timestamp().as_micros() as i64, packet.signature().to_bytes());
    assert!(packet_of(&item(seq, signature)).is_some());
    assert!(packet_of(&item(seq + 1, signature)).is_none());
    assert!(packet_of(&item(-1, signature)).is_none());
    assert!(packet_of(&item(seq, [0; 64])).is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn as_a_lookup_it_speaks_only_while_it_is_on_and_names_the_relay_alone() {
    let (_net, entry) = net().await;
    let (key, other) = (SecretKey::from_bytes(&[6; 32]), SecretKey::from_bytes(&[7; 32]));
    let (switch, reader) = (DhtSwitch::new(entry.clone(), key.clone()), DhtSwitch::new(entry, other));
    reader.set(true).await;
    let relay: iroh::RelayUrl = "https://relay.example".parse().unwrap();
    let mut data = EndpointData::from_iter([
        iroh::TransportAddr::Relay(relay.clone()),
        iroh::TransportAddr::Ip("192.168.1.20:11204".parse().unwrap()),
    ]);
    data.set_user_data(None);
    switch.publish(&data);
    assert!(switch.resolve(key.public()).is_none(), "it is off");
    switch.set(true).await;
    let end = std::time::Instant::now() + TEST_TIMEOUT;
    let found = loop {
        let mut items = reader.resolve(key.public()).expect("it is on");
        if let Some(Ok(item)) = items.next().await {
            break item;
        }
        assert!(std::time::Instant::now() < end, "what was said before is not said when it is switched on");
    };
    assert_eq!(found.relay_urls().collect::<Vec<_>>(), [&relay]);
    assert_eq!(found.ip_addrs().count(), 0, "addresses are nobody's business");
    switch.set(false).await;
    assert!(switch.resolve(key.public()).is_none());
}
