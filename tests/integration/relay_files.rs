//! Tests of the configuration under `docs/relay`: `iroh-relay` can read it, and a relay started with it serves a device
//! with the right token and no other.

use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use iroh::{Endpoint, RelayConfig, RelayMap, RelayMode, Watcher, endpoint::presets, tls::CaTlsConfig};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use yonder_tests::{
    program::TEST_TIMEOUT,
    servers::{
        Relay, RelaySetup,
        shipped::{Access, CertMode, Config, FIELDS, Tls, fields_in},
    },
};

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/relay");
    let all = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    all.filter(|path| path.extension().is_some_and(|extension| extension == "toml")).collect()
}

fn shipped(name: &str) -> String {
    let path = files().into_iter().find(|path| path.file_name().is_some_and(|file| file == name)).unwrap();
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn every_key_is_one_that_the_program_knows() {
    assert_eq!(files().len(), 2);
    for path in files() {
        let text = std::fs::read_to_string(&path).unwrap();
        let config: Config = toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(config.enable_relay && config.enable_quic_addr_discovery && !config.enable_metrics, "{config:?}");
        let Some(Access::SharedToken(tokens)) = config.access else { panic!("{}: for everybody", path.display()) };
        assert!(tokens.iter().all(|token| !token.is_empty()));
        let rate = config.limits.unwrap().client.unwrap().rx.unwrap();
        assert!(rate.bytes_per_second > Some(0) && rate.max_burst_bytes >= rate.bytes_per_second);
        let Tls { cert_mode, hostname, contact, cert_dir, manual_cert_path, manual_key_path, .. } = config.tls.unwrap();
        match cert_mode {
            // Fields that the program requires for each certificate mode.
            CertMode::LetsEncrypt => assert!(hostname.is_some() && contact.is_some() && cert_dir.is_some()),
            _ => assert!(manual_cert_path.is_some() && manual_key_path.is_some()),
        }
        // A misspelt key is found here; the program would ignore it.
        for (right, wrong) in
            [("enable_quic_addr_discovery", "enable_quic_address_discovery"), ("bytes_per_", "byte_per_")]
        {
            assert!(toml::from_str::<Config>(&text.replacen(right, wrong, 1)).is_err(), "{wrong} went unnoticed");
        }
    }
}

/// Compares the types used to parse the files with the source of `iroh-relay` from which they were copied. The source
/// is available here because the crate was built from it.
#[test]
fn what_the_files_are_held_against_is_what_the_program_reads() {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo"))).unwrap();
    let sources = std::fs::read_dir(home.join("registry/src")).expect("the registry's sources");
    let main = sources
        .map(|registry| registry.unwrap().path().join("iroh-relay-1.4.1/src/main.rs"))
        .find(|path| path.exists())
        .expect("the source of iroh-relay 1.4.1");
    let source = std::fs::read_to_string(main).unwrap();
    for (name, ours) in FIELDS {
        let ours: BTreeSet<String> = ours.iter().map(ToString::to_string).collect();
        assert_eq!(fields_in(&source, name), ours, "{name}");
    }
}

/// Connects with this token. Returns none if the device is let in, otherwise the reason for the refusal.
async fn refusal(relay: &Relay, qad: u16, token: Option<&str>) -> Option<String> {
    let config = RelayConfig::new(relay.url.parse().unwrap(), Some(iroh_relay::RelayQuicConfig::new(qad)));
    let config = match token {
        Some(token) => config.with_auth_token(token),
        None => config,
    };
    let authority = CertificateDer::from_pem_file(&relay.authority).unwrap();
    let endpoint = Endpoint::builder(presets::Minimal)
        .relay_mode(RelayMode::Custom(RelayMap::from(config)))
        .ca_tls_config(CaTlsConfig::custom_roots([authority]))
        .bind()
        .await
        .unwrap();
    let mut status = endpoint.home_relay_status();
    loop {
        for relay in status.get() {
            let refused = relay.auth_denied_reason().map(str::to_owned);
            if relay.is_connected() || refused.is_some() {
                endpoint.close().await;
                return refused;
            }
        }
        tokio::time::timeout(TEST_TIMEOUT, status.updated()).await.expect("the relay answers").unwrap();
    }
}

#[test]
fn a_relay_started_with_them_serves_who_shows_the_token() {
    const TOKEN: &str = "a-token-of-this-test";
    // Names, ports and files are those of this machine; everything else is as shipped.
    let text = shipped("relay-own-certificate.toml").replace("put a long random token here", TOKEN);
    let text =
        text.replace("[::]:7842", "127.0.0.1:0").replace("[::]:80", "127.0.0.1:0").replace("[::]:443", "127.0.0.1:0");
    let config: Config = toml::from_str(&text).unwrap();
    let Some(Access::SharedToken(tokens)) = config.access else { panic!("for everybody") };
    let at = config.tls.and_then(|tls| tls.https_bind_addr).unwrap();
    assert_eq!(at, SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    let rate = config.limits.and_then(|limits| limits.client).and_then(|client| client.rx);
    let relay = Relay::start(RelaySetup {
        at,
        qad: config.enable_quic_addr_discovery.then_some(0),
        token: tokens.into_iter().next(),
        delay: Duration::ZERO,
        home: None,
        rate: rate.and_then(|rate| Some((rate.bytes_per_second?, rate.max_burst_bytes?))),
    });
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        assert_eq!(refusal(&relay, 1, Some(TOKEN)).await, None);
        assert!(refusal(&relay, 1, Some("another")).await.is_some());
        assert!(refusal(&relay, 1, None).await.is_some());
    });
}
