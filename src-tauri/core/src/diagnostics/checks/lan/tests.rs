use super::*;
use crate::{api::CheckStatus, diagnostics::facts::Echo};

fn code(check: &CheckView) -> (CheckStatus, &str) {
    (check.status, check.code.as_deref().unwrap_or_default())
}

fn interface(name: &str) -> Interface {
    Interface { name: name.into(), addresses: vec![("10.0.0.2".parse().unwrap(), 24)], ..Interface::default() }
}

#[test]
fn no_network_and_no_route_are_told_apart() {
    let none = interfaces(&[]);
    assert_eq!(code(&none), (CheckStatus::Failed, "no_interface"));
    let up = interfaces(&[interface("eth0")]);
    assert!(up.status == CheckStatus::Ok && up.detail.contains("eth0 (10.0.0.2)"));
    let nowhere = DefaultRoutes::default();
    let check = route(&nowhere, false);
    assert_eq!(code(&check), (CheckStatus::Failed, "no_route"));
    assert!(!check.hint.is_empty());
    assert_eq!(code(&route(&nowhere, true)), (CheckStatus::Info, "no_route"));
    assert_eq!(route(&DefaultRoutes { v4: true, v6: false }, false).status, CheckStatus::Ok);
}

#[test]
fn a_dead_cable_that_keeps_its_address_is_named_where_another_interface_is_on_its_network() {
    let dead = Interface { unplugged: true, ..interface("eth0") };
    let check = interfaces(&[dead.clone(), interface("wlan0")]);
    assert_eq!(code(&check), (CheckStatus::Warning, "dead_cable_avoided"));
    assert_eq!((check.args["name"].as_str(), check.args["other"].as_str()), ("eth0", "wlan0"));
    let vpn = Interface { addresses: vec![("10.8.0.2".parse().unwrap(), 24)], ..interface("tun0") };
    let check = interfaces(&[dead.clone(), interface("wlan0"), vpn]);
    assert_eq!(code(&check), (CheckStatus::Failed, "dead_cable"));
    let local = Interface { addresses: vec![("fe80::2".parse().unwrap(), 64)], ..interface("veth0") };
    let check = interfaces(&[dead.clone(), interface("wlan0"), local]);
    assert_eq!(code(&check), (CheckStatus::Warning, "dead_cable_avoided"));
    let elsewhere = Interface { addresses: vec![("172.17.0.1".parse().unwrap(), 16)], ..interface("wlan0") };
    let check = interfaces(&[dead.clone(), elsewhere]);
    assert!(check.status == CheckStatus::Ok && !check.detail.contains("eth0"), "{check:?}");
    assert_eq!(code(&interfaces(&[dead])), (CheckStatus::Failed, "no_interface"));
}

#[test]
fn a_vpn_is_named_and_one_that_takes_everything_is_a_warning() {
    let vpn_of = |default| Interface { vpn: Some("WireGuard"), default, ..interface("wg0") };
    assert_eq!(vpn(&[interface("eth0")]).status, CheckStatus::Ok);
    let beside = vpn(&[interface("eth0"), vpn_of(false)]);
    assert_eq!(code(&beside), (CheckStatus::Info, "vpn_up"));
    assert!(beside.detail.contains("wg0 (WireGuard)"));
    assert_eq!(code(&vpn(&[vpn_of(true)])), (CheckStatus::Warning, "vpn_takes_all"));
}

fn heard(mdns: bool, unasked: Option<bool>, others: usize) -> Multicast {
    Multicast {
        interfaces: vec![Echo { interface: "eth0".into(), mdns, unasked, ..Echo::default() }],
        others: (0..others).map(|n| IpAddr::from([10, 0, 0, n as u8])).collect(),
        deaf: None,
    }
}

#[test]
fn multicast_that_is_dropped_here_is_not_multicast_that_is_dropped_there() {
    let alone = Neighbours::default();
    assert_eq!(code(&multicast(&heard(false, None, 0), &alone)), (CheckStatus::Failed, "multicast_not_heard"));
    assert_eq!(code(&multicast(&heard(true, None, 0), &alone)), (CheckStatus::Info, "multicast_unanswered"));
    assert_eq!(multicast(&heard(true, None, 1), &alone).status, CheckStatus::Ok);
    let unseen = Neighbours { unseen: vec!["Laptop".into()], sighted: false };
    let dropped = multicast(&heard(true, None, 0), &unseen);
    assert_eq!(code(&dropped), (CheckStatus::Warning, "multicast_dropped"));
    assert!(dropped.detail.contains("Laptop") && dropped.hint.contains("isolation"));
    // One hidden device is no sign while another one is sighted.
    assert_eq!(multicast(&heard(true, None, 1), &unseen).status, CheckStatus::Ok);
    assert_eq!(multicast(&heard(true, None, 0), &Neighbours { sighted: true, ..unseen }).status, CheckStatus::Ok);
    let deaf = Multicast { deaf: Some("in use".into()), ..Multicast::default() };
    assert_eq!(code(&multicast(&deaf, &alone)), (CheckStatus::Failed, "multicast_port_taken"));
}

#[test]
fn rules_count_more_than_what_was_tried_and_the_command_fits() {
    let of = |kind, rules| Firewall { kind, rules, chain: Some("ip mine in".into()) };
    let open = heard(true, Some(true), 0);
    let shut = heard(true, Some(false), 0);
    assert_eq!(firewall(&Firewall::default(), &open, 11204).status, CheckStatus::Ok);
    let unread = firewall(&Firewall::default(), &shut, 11204);
    assert_eq!(code(&unread), (CheckStatus::Failed, "firewall_blocks_udp"));
    assert!(unread.hint.contains("ufw allow 11204/udp") || cfg!(not(target_os = "linux")));
    assert_eq!(firewall(&of(None, Some(FirewallVerdict::Open)), &shut, 11204).status, CheckStatus::Ok);
    for (kind, command) in [
        (FirewallKind::Ufw, "sudo ufw allow 7/udp"),
        (FirewallKind::Firewalld, "--add-port=7/udp"),
        (FirewallKind::Nftables, "sudo nft insert rule ip mine in udp dport 7 accept"),
    ] {
        let check = firewall(&of(Some(kind), Some(FirewallVerdict::Closed)), &open, 7);
        assert_eq!(code(&check), (CheckStatus::Failed, "firewall_blocks_udp"));
        assert!(check.hint.contains(command), "{check:?}");
    }
    assert_eq!(
        code(&firewall(&of(None, Some(FirewallVerdict::Unclear)), &heard(true, None, 0), 7)).1,
        "firewall_unknown"
    );
}
