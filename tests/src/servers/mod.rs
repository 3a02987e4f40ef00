//! Real Internet servers for tests: a relay, a pkarr server, and nodes of a mainline DHT. Each is the code that is used
//! in production, started in this process on an address of the test's choice.
//!
//! They run in their own threads, so that tests stay plain functions, and end when they are dropped.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    num::NonZeroU32,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use iroh_dns_server::config::{Config, MetricsConfig, RateLimitConfig};
use iroh_relay::server::{
    Access, AccessControl, CertConfig, ClientRateLimit, ClientRequest, QuicConfig, RelayConfig, Server, ServerConfig,
    TlsConfig,
};
use n0_mainline::Dht;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::program::TEST_TIMEOUT;

mod delay;
pub mod shipped;

/// Port at which iroh looks for a relay's QUIC address discovery (QAD).
pub const QAD_PORT: u16 = 7842;

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("threads")
}

/// Ends a server's runtime without waiting for its remaining work; a plain drop would panic inside another runtime.
struct Threads(Option<Runtime>);

impl Threads {
    fn new() -> Self {
        Self(Some(runtime()))
    }

    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.0.as_ref().expect("it has not ended").spawn(work);
    }

    fn run<T>(&self, work: impl Future<Output = T>) -> T {
        self.0.as_ref().expect("it has not ended").block_on(work)
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// A relay with TLS.
pub struct Relay {
    /// `https://IP:PORT`, for `--relay`.
    pub url: String,
    /// A PEM file with the authority that signed its certificate, for `--relay-ca`.
    pub authority: PathBuf,
    server: Option<Server>,
    threads: Threads,
    _home: Option<TempDir>,
}

/// Options for starting a relay.
#[derive(Clone, Debug)]
pub struct RelaySetup {
    /// Listening address; port 0 means any free one.
    pub at: SocketAddr,
    /// UDP port of its address discovery, without which there is no hole punching: [`QAD_PORT`].
    pub qad: Option<u16>,
    /// Token without which nobody is let in.
    pub token: Option<String>,
    /// Extra delay of every byte, each way.
    pub delay: Duration,
    /// Bytes per second that one device may send, and the largest burst in bytes.
    pub rate: Option<(u32, u32)>,
    /// Folder in which certificate and authority are kept, so that the relay can be restarted with the same identity.
    pub home: Option<PathBuf>,
}

impl Relay {
    /// Starts a relay on the loopback, on its own port. It has no address discovery, because that port is fixed and
    /// there may be several relays at once.
    pub fn loopback() -> Self {
        Self::on(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), None)
    }

    /// Starts a relay at this address; port 0 means any free one. `qad` is the UDP port of its address discovery,
    /// without which there is no hole punching: [`QAD_PORT`].
    pub fn on(at: SocketAddr, qad: Option<u16>) -> Self {
        Self::start(RelaySetup { at, qad, token: None, delay: Duration::ZERO, rate: None, home: None })
    }

    /// Starts a relay with these options.
    pub fn start(setup: RelaySetup) -> Self {
        let own = setup.home.is_none().then(|| tempfile::tempdir().expect("a temporary folder"));
        let home = setup.home.as_deref().or(own.as_ref().map(TempDir::path)).expect("one of them");
        let authority = home.join("authority.pem");
        let tls = certificate(setup.at.ip(), home);
        let threads = Threads::new();
        // With a delay, a forwarder listens at the address, and the relay itself is on the loopback behind it.
        let slow = setup.delay > Duration::ZERO;
        let at = if slow { SocketAddr::from((Ipv4Addr::LOCALHOST, 0)) } else { setup.at };
        let mut relay = RelayConfig::new(SocketAddr::new(at.ip(), 0));
        relay.tls = Some(TlsConfig::new(at, CertConfig::Manual { server_config: tls }));
        if let Some(token) = setup.token {
            relay.access = Arc::new(Token(token));
        }
        if let Some((second, burst)) = setup.rate {
            let mut limit = ClientRateLimit::new(NonZeroU32::new(second).expect("more than nothing"));
            limit.max_burst_bytes = NonZeroU32::new(burst);
            relay.limits.client_rx = Some(limit);
        }
        let mut config = ServerConfig::default();
        config.relay = Some(relay);
        config.quic = setup.qad.map(|port| QuicConfig::new(SocketAddr::new(setup.at.ip(), port)));
        let server = threads.run(Server::spawn(config)).expect("a relay");
        let mut address = server.https_addr().expect("it has TLS");
        if slow {
            let listener = threads.run(tokio::net::TcpListener::bind(setup.at)).expect("an address");
            let to = std::mem::replace(&mut address, listener.local_addr().expect("it is bound"));
            threads.spawn(delay::forward(listener, to, setup.delay));
        }
        Self { url: format!("https://{address}"), authority, server: Some(server), threads, _home: own }
    }
}

/// Access control of `iroh-relay` for a `shared_token`.
#[derive(Debug)]
struct Token(String);

impl AccessControl for Token {
    async fn on_connect(&self, request: &ClientRequest) -> Access {
        match request.auth_token() {
            Some(token) if token == self.0 => Access::Allow,
            _ => Access::Deny { reason: None },
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            let _inside = self.threads.0.as_ref().map(Runtime::enter);
            drop(server);
        }
    }
}

/// Creates a leaf certificate for this address, signed by an authority whose certificate is written to a file. A
/// self-signed leaf would not do, because it is no authority. Existing files in the folder are reused.
fn certificate(at: IpAddr, home: &Path) -> rustls::ServerConfig {
    let [authority, leaf, key] = ["authority.pem", "certificate.pem", "key.pem"].map(|name| home.join(name));
    if !leaf.exists() {
        let mut root = CertificateParams::default();
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        root.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let root_key = KeyPair::generate().expect("a key");
        let root_certificate = root.self_signed(&root_key).expect("a certificate");
        let leaf_key = KeyPair::generate().expect("a key");
        let signed = CertificateParams::new(vec![at.to_string()])
            .and_then(|leaf| leaf.signed_by(&leaf_key, &Issuer::new(root, root_key)))
            .expect("a certificate");
        std::fs::write(authority, root_certificate.pem()).expect("a file");
        std::fs::write(&key, leaf_key.serialize_pem()).expect("a file");
        std::fs::write(&leaf, signed.pem()).expect("a file");
    }
    let chain = vec![CertificateDer::from_pem_file(&leaf).expect("a certificate")];
    let key = PrivateKeyDer::from_pem_file(&key).expect("a key");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("TLS 1.3")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("a key that fits")
}

/// A pkarr server: records are written and read over HTTP.
pub struct Pkarr {
    /// `http://IP:PORT/pkarr`, for `--pkarr`.
    pub url: String,
    server: Option<iroh_dns_server::Server>,
    threads: Threads,
    _home: TempDir,
}

impl Pkarr {
    /// Starts a server on the loopback, on its own port.
    pub fn loopback() -> Self {
        Self::on(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
    }

    /// Starts a server at this address; port 0 means any free one.
    pub fn on(at: SocketAddr) -> Self {
        let home = tempfile::tempdir().expect("a temporary folder");
        let mut config = Config::default();
        let http = config.http.as_mut().expect("HTTP is on");
        (http.bind_addr, http.port) = (Some(at.ip()), at.port());
        (config.dns.bind_addr, config.dns.port) = (Some(at.ip()), 0);
        config.https = None;
        config.metrics = Some(MetricsConfig::disabled());
        // All devices of a test share one address, so a limit per address would hit them.
        config.pkarr_put_rate_limit = RateLimitConfig::Disabled;
        config.data_dir = Some(home.path().to_owned());
        let threads = Threads::new();
        let server = threads.run(iroh_dns_server::Server::bind(config)).expect("a pkarr server");
        let url = format!("http://{}/pkarr", server.http_addr().expect("HTTP is on"));
        Self { url, server: Some(server), threads, _home: home }
    }

    /// Returns how many requests it has answered successfully.
    pub fn answered(&self) -> u64 {
        self.server.as_ref().map_or(0, |server| server.metrics().http_requests_success.get())
    }
}

impl Drop for Pkarr {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            let _ = self.threads.run(server.shutdown());
        }
    }
}

/// Nodes of a mainline DHT that know only each other.
pub struct DhtNet {
    /// `IP:PORT` of one node, for `--dht-bootstrap`.
    pub bootstrap: String,
    nodes: Vec<Dht>,
    threads: Threads,
}

impl DhtNet {
    /// Starts some nodes on the loopback.
    pub fn loopback() -> Self {
        Self::on(Ipv4Addr::LOCALHOST, 0, 5)
    }

    /// Starts this many nodes on one machine. They name each other by this address and listen on all addresses; `port`
    /// is the first node's, 0 means any free one.
    pub fn on(at: Ipv4Addr, port: u16, count: usize) -> Self {
        let threads = Threads::new();
        let (nodes, bootstrap) = threads.run(async {
            // A node with a public address needs an id that matches it, or other nodes do not keep it (BEP 42).
            let first =
                Dht::builder().no_bootstrap().server_mode().public_ip(at).port(port).build().expect("a DHT node");
            let port = first.info().await.expect("it runs").local_addr().port();
            let bootstrap = format!("{at}:{port}");
            let mut nodes = vec![first];
            for _ in 1..count {
                let mut node = Dht::builder();
                node.bootstrap(&[&bootstrap]).server_mode().public_ip(at).port(0);
                nodes.push(node.build().expect("a DHT node"));
            }
            for node in nodes.iter().filter(|_| count > 1) {
                // The nodes give each other half a second for an answer, which a busy machine does not always meet.
                let end = Instant::now() + TEST_TIMEOUT;
                while !node.bootstrapped().await.expect("it runs") {
                    assert!(Instant::now() < end, "the DHT's nodes do not meet");
                }
            }
            (nodes, bootstrap)
        });
        Self { bootstrap, nodes, threads }
    }

    /// Returns the number of nodes.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Always false: a net has at least one node.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }
}

impl Drop for DhtNet {
    fn drop(&mut self) {
        let nodes = std::mem::take(&mut self.nodes);
        self.threads.run(async move { drop(nodes) });
    }
}
