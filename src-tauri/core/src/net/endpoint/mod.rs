//! Configuration of the node's one endpoint: port, mode, permitted servers, transport.

pub mod congestion;
mod link_local;
pub mod pacing;
pub(super) mod raw;
pub(super) mod unplugged;

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6},
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use iroh::{
    Endpoint, NetReportConfig, RelayMode, RelayUrl, SecretKey,
    dns::DnsResolver,
    endpoint::{BindError, BindOpts, Builder, IdleTimeout, PortmapperConfig, QuicTransportConfig, VarInt, presets},
    tls::CaTlsConfig,
};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use url::Url;

use self::pacing::PacingConfig;
use super::{
    inbound::gate::Gate,
    limits::{DATAGRAMS, STREAM_WINDOW, SessionLimits, UNPROVEN},
    relay::{
        Checked, Fixed, Listed, NamedServers, Nearest, OwnFirst, OwnRelays, Policy, PublicResolver, RelayController,
        RelaySelector, RelayTable, Servers, public, relay_map,
    },
};
use crate::{
    api::{RelayChoice, SecretText},
    discovery::{DhtEntry, PUBLIC_PKARR},
    error::{InputError, NetworkError},
};

/// Default UDP port.
pub const DEFAULT_PORT: u16 = 11204;
const SEND_WINDOW: u64 = 24 << 20;
/// Idle timeout. It starts with the first packet sent after the last one received (RFC 9000, section 10.1), and so up
/// to [`KEEP_ALIVE`] late: a peer that was killed is lost after 19 s at most.
const IDLE: Duration = Duration::from_secs(14);
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// Keep-alive interval of the dialling side. It is a little shorter, so that the other side hears a packet and need not
/// send its own. With equal intervals both sides would send at once, and idle connections would send twice as many
/// packets.
const KEEP_ALIVE_OF_DIALLER: Duration = Duration::from_millis(4500);

/// Permitted kinds of paths to other devices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// All paths: LAN, internet, relays.
    #[default]
    Normal,
    /// Asks nobody outside: no relay, address server, DNS resolver or port mapper. Addresses of a device that are known
    /// already, for example from a link, are dialled as in the other modes. Chosen at the start of a node only.
    Lan,
    /// Relays only: hides this device's address from the other device.
    RelayOnly,
}

/// Options with which the endpoint is bound.
#[derive(Clone, Debug, Default)]
pub struct EndpointOptions {
    /// UDP port. `None` means [`DEFAULT_PORT`] or, if that is taken, any free port. 0 means any free port.
    pub port: Option<u16>,
    /// Local address to bind. `None` means all.
    pub bind: Option<IpAddr>,
    /// Permitted kinds of paths.
    pub mode: Mode,
    /// Relays for this run. With custom relays, a custom pkarr server or custom DHT nodes, no public server of any kind
    /// is asked.
    pub relays: Vec<String>,
    /// Relays of the settings; used if none are given for this run. Public servers may be asked beside them, unless the
    /// choice is `fixed`.
    pub kept_relays: Vec<String>,
    /// Rule that chooses the home relay.
    pub relay_choice: RelayChoice,
    /// Custom rule, in place of `relay_choice`.
    pub relay_selector: Option<Arc<dyn RelaySelector>>,
    /// Token for custom relays.
    pub relay_token: Option<SecretText>,
    /// PEM file with the certificate authority of the custom servers.
    pub relay_ca: Option<PathBuf>,
    /// URL of a custom pkarr server.
    pub pkarr: Option<String>,
    /// Custom bootstrap nodes of the mainline DHT, as `HOST:PORT`.
    pub dht_bootstrap: Vec<String>,
}

/// Internet servers that may be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Infrastructure {
    /// Permitted relays.
    pub relays: Relays,
    /// pkarr server on which a device publishes its relay for those that know its key.
    pub pkarr: Option<Url>,
    /// Entry to the mainline DHT, if it may be asked.
    pub dht: Option<DhtEntry>,
    /// True if the public DNS of the public pkarr server's records may be asked, and public resolvers where the
    /// system's resolver fails.
    pub public_dns: bool,
}

/// Set of permitted relays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Relays {
    /// No relay.
    None,
    /// The public relays.
    Public,
    /// Only these relays.
    Own(Vec<RelayUrl>),
    /// These relays and the public ones.
    OwnAndPublic(Vec<RelayUrl>),
}

impl EndpointOptions {
    /// Returns the permitted internet servers. Without custom servers these are the public ones; with custom servers of
    /// any kind for this run, only those. Mode `lan` permits none. Relays of the settings are added to the public
    /// servers, unless the choice is fixed to them.
    ///
    /// # Errors
    /// When an address is invalid, or the mode cannot work with these servers.
    pub fn infrastructure(&self) -> Result<Infrastructure, NetworkError> {
        let given: Vec<RelayUrl> = self.relays.iter().map(|url| relay_url(url)).collect::<Result<_, _>>()?;
        let kept: Vec<RelayUrl> = self.kept_relays.iter().map(|url| relay_url(url)).collect::<Result<_, _>>()?;
        let pkarr = self.pkarr.as_deref().map(pkarr_url).transpose()?;
        let nodes: Vec<String> = self.dht_bootstrap.iter().map(|node| dht_node(node)).collect::<Result<_, _>>()?;
        let nothing = Infrastructure { relays: Relays::None, pkarr: None, dht: None, public_dns: false };
        if self.mode == Mode::Lan {
            return Ok(nothing);
        }
        let fixed = self.relay_choice == RelayChoice::Fixed && self.relay_selector.is_none();
        let public = given.is_empty() && pkarr.is_none() && nodes.is_empty() && (kept.is_empty() || !fixed);
        let mut own = if given.is_empty() { kept } else { given };
        if fixed {
            own.truncate(1);
        }
        if public {
            let relays = if own.is_empty() { Relays::Public } else { Relays::OwnAndPublic(own) };
            let pkarr = Some(pkarr_url(PUBLIC_PKARR)?);
            return Ok(Infrastructure { relays, pkarr, dht: Some(DhtEntry::Public), public_dns: true });
        }
        if own.is_empty() && self.mode == Mode::RelayOnly {
            return Err(InputError::NoRelay.into());
        }
        let relays = if own.is_empty() { Relays::None } else { Relays::Own(own) };
        let dht = (!nodes.is_empty()).then_some(DhtEntry::Own(nodes));
        Ok(Infrastructure { relays, pkarr, dht, ..nothing })
    }

    /// Returns the relays that may become the home relay, and the rule that chooses.
    pub(super) fn policy(&self, servers: &Infrastructure) -> Policy {
        let (own, public) = match &servers.relays {
            Relays::None => (Vec::new(), Vec::new()),
            Relays::Public => (Vec::new(), public()),
            Relays::Own(own) => (own.clone(), Vec::new()),
            Relays::OwnAndPublic(own) => (own.clone(), public()),
        };
        let selector = self.relay_selector.clone().unwrap_or_else(|| match self.relay_choice {
            RelayChoice::Nearest => Arc::new(Nearest),
            RelayChoice::OwnFirst => Arc::new(OwnFirst),
            RelayChoice::Fixed => Arc::new(Fixed),
        });
        Policy { own, public, selector, token: self.relay_token.clone() }
    }
}

/// A bound endpoint with the controllers of its servers.
pub(super) struct Bound {
    pub endpoint: Endpoint,
    pub relays: RelayController,
    pub servers: Servers,
    pub named: NamedServers,
}

/// Binds the endpoint.
pub(super) async fn bind(
    options: &EndpointOptions,
    secret: SecretKey,
    gate: Gate,
    alpns: Vec<Vec<u8>>,
) -> Result<Bound, NetworkError> {
    let servers = options.infrastructure()?;
    let named = NamedServers::default();
    named.set(&servers);
    let mut table = RelayTable::new(options.policy(&servers), Instant::now());
    let listed = table.list();
    let on_links = match (options.mode, options.bind) {
        (Mode::RelayOnly, _) | (_, Some(_)) => Vec::new(),
        _ => tokio::task::spawn_blocking(link_local::addresses).await.unwrap_or_default(),
    };
    let attempt = |port: u16| {
        let builder = builder(options, &servers, &named, &listed, secret.clone(), gate.clone(), alpns.clone());
        let builder = builder.and_then(|builder| sockets(builder, options, &on_links, port));
        async move { builder?.bind().await.map_err(BindFailure::Bind) }
    };
    let wanted = options.port.unwrap_or(DEFAULT_PORT);
    let bound = match attempt(wanted).await {
        Err(BindFailure::Bind(BindError::Sockets { .. })) if options.port.is_none() => {
            tracing::info!(port = wanted, "the port is taken; using a free one");
            attempt(0).await
        }
        other => other,
    };
    let endpoint = bound.map_err(|failure| match failure {
        BindFailure::Bind(error @ BindError::Sockets { .. }) => {
            NetworkError::PortUnavailable { port: wanted, source: Box::new(error) }
        }
        BindFailure::Bind(error) => NetworkError::Internal(error.to_string()),
        BindFailure::Input(error) => error,
    })?;
    let lookups = endpoint.address_lookup().map_err(|error| NetworkError::Internal(error.to_string()))?;
    let relays = RelayController::new(endpoint.clone(), table, listed);
    let asked = Servers::default();
    if options.mode != Mode::Lan {
        asked.set(&endpoint, servers.pkarr, servers.public_dns);
        lookups.add(Checked(asked.clone(), named.clone()));
        lookups.add(OwnRelays(relays.clone()));
    }
    Ok(Bound { relays, servers: asked, named, endpoint })
}

enum BindFailure {
    Bind(BindError),
    Input(NetworkError),
}

fn builder(
    options: &EndpointOptions,
    servers: &Infrastructure,
    named: &NamedServers,
    listed: &[Listed],
    secret: SecretKey,
    gate: Gate,
    alpns: Vec<Vec<u8>>,
) -> Result<Builder, BindFailure> {
    let mut builder = Endpoint::builder(presets::Minimal)
        .crypto_provider(Arc::new(provider()))
        .secret_key(secret)
        .alpns(alpns)
        .transport_config(configured(KEEP_ALIVE, Some(UNPROVEN)))
        .hooks(gate)
        .relay_mode(match options.mode {
            Mode::Lan => RelayMode::Disabled,
            // An empty list enables relays as well, because one may be added later.
            Mode::Normal | Mode::RelayOnly => RelayMode::Custom(relay_map(listed)),
        });
    if options.mode == Mode::Lan {
        builder = builder
            .portmapper_config(PortmapperConfig::Disabled)
            .net_report_config(NetReportConfig::minimal())
            .dns_resolver(DnsResolver::builder().disable_fallback().build());
        return Ok(builder);
    }
    // If public servers may be asked, the usual authorities are trusted beside the custom one.
    let public = matches!(servers.relays, Relays::Public | Relays::OwnAndPublic(_));
    let trusted = match &options.relay_ca {
        None => CaTlsConfig::default(),
        Some(path) if public => CaTlsConfig::default().with_extra_roots(authorities(path)?),
        Some(path) => CaTlsConfig::custom_roots(authorities(path)?),
    };
    let mut resolver = DnsResolver::builder().with_system_defaults();
    if !servers.public_dns || matches!(servers.relays, Relays::OwnAndPublic(_)) {
        // The user may switch to custom relays only at any time, and then no public resolver may be asked.
        resolver = resolver.disable_fallback();
    } else if let Ok(tls) = trusted.client_config(Arc::new(provider())) {
        resolver = resolver.tls_client_config(tls);
    }
    builder = builder.dns_resolver(PublicResolver::over(resolver.build(), named.clone()));
    if options.relay_ca.is_some() {
        builder = builder.ca_tls_config(trusted);
    }
    Ok(builder)
}

/// Adds the listening sockets: the port on every address or on the chosen one, and for each of the link-local addresses
/// a port of its own that serves only its link.
fn sockets(
    builder: Builder,
    options: &EndpointOptions,
    on_links: &[SocketAddrV6],
    port: u16,
) -> Result<Builder, BindFailure> {
    if options.mode == Mode::RelayOnly {
        return Ok(builder.clear_ip_transports());
    }
    let unusable = |error: iroh::endpoint::InvalidSocketAddr| {
        BindFailure::Input(InputError::BindAddress { detail: error.to_string() }.into())
    };
    match options.bind {
        Some(ip) => builder.clear_ip_transports().bind_addr(SocketAddr::new(ip, port)).map_err(unusable),
        // iroh accepts no further address after the wildcard address.
        None => on_links
            .iter()
            .try_fold(builder, |builder, at| builder.bind_addr_with_opts(*at, of_one_link()))
            .map_err(unusable)?
            .bind_addr(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port))
            .map_err(unusable)?
            .bind_addr_with_opts(
                SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, port, 0, 0),
                // A machine without IPv6 must not fail.
                BindOpts::default().set_is_required(false),
            )
            .map_err(unusable),
    }
}

/// Options of a socket for all addresses of a link (`fe80::/64`, RFC 4291). iroh drops the scope id of received
/// packets, by which it would otherwise choose the socket to answer from.
fn of_one_link() -> BindOpts {
    BindOpts::default().set_prefix_len(64).set_is_required(false).set_is_default_route(false)
}

pub(super) fn relay_url(text: &str) -> Result<RelayUrl, NetworkError> {
    let wrong = |detail: String| InputError::RelayUrl { text: text.into(), detail };
    text.parse().map_err(|error: iroh::RelayUrlParseError| wrong(error.to_string()).into())
}

fn pkarr_url(text: &str) -> Result<Url, NetworkError> {
    let url = Url::parse(text).map_err(|error| InputError::PkarrUrl { detail: error.to_string() })?;
    if !matches!(url.scheme(), "https" | "http") || !url.has_host() || url.query().is_some() || url.fragment().is_some()
    {
        return Err(InputError::PkarrFolder.into());
    }
    Ok(url)
}

fn dht_node(text: &str) -> Result<String, NetworkError> {
    let right = text.rsplit_once(':').is_some_and(|(host, port)| {
        let name = !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
        name && port.parse::<u16>().is_ok_and(|port| port != 0)
    });
    if right {
        return Ok(text.into());
    }
    // The DHT supports only IPv4.
    Err(InputError::DhtNode(text.into()).into())
}

fn authorities(path: &std::path::Path) -> Result<Vec<rustls_pki_types::CertificateDer<'static>>, BindFailure> {
    use rustls_pki_types::pem::PemObject;
    let unreadable =
        |detail: String| BindFailure::Input(InputError::Authority { path: path.to_owned(), detail }.into());
    rustls_pki_types::CertificateDer::pem_file_iter(path)
        .map_err(|error| unreadable(error.to_string()))?
        .collect::<Result<_, _>>()
        .map_err(|error| unreadable(error.to_string()))
}

/// TLS provider. The hybrid group with ML-KEM comes first, so that recorded traffic cannot be decrypted by a future
/// quantum computer. Other servers (relays, DNS) may support only the classical groups.
fn provider() -> CryptoProvider {
    let kx_groups =
        vec![aws_lc_rs::kx_group::X25519MLKEM768, aws_lc_rs::kx_group::X25519, aws_lc_rs::kx_group::SECP256R1];
    CryptoProvider { kx_groups, ..aws_lc_rs::default_provider() }
}

/// Builds an endpoint with the node's transport and cryptography and nothing else. It contacts no outside server.
fn raw_builder(at: SocketAddr, alpn: &[u8]) -> Result<Builder, NetworkError> {
    Endpoint::builder(presets::Minimal)
        .crypto_provider(Arc::new(provider()))
        .alpns(vec![alpn.to_vec()])
        .transport_config(transport())
        .relay_mode(RelayMode::Disabled)
        .portmapper_config(PortmapperConfig::Disabled)
        .net_report_config(NetReportConfig::minimal())
        .dns_resolver(DnsResolver::builder().disable_fallback().build())
        .clear_ip_transports()
        .bind_addr(at)
        .map_err(|error| InputError::BindAddress { detail: error.to_string() }.into())
}

/// Transport configuration of the node's connections, without the limits for unauthenticated peers. Only for
/// benchmarks, never where unpaired peers can connect.
pub fn transport() -> QuicTransportConfig {
    configured(KEEP_ALIVE, None)
}

/// Transport configuration of connections that this side dials.
pub(super) fn dialled_transport() -> QuicTransportConfig {
    configured(KEEP_ALIVE_OF_DIALLER, Some(UNPROVEN))
}

fn configured(keep_alive: Duration, limits: Option<SessionLimits>) -> QuicTransportConfig {
    let (window, bi_streams, uni_streams) = match limits {
        Some(limits) => (VarInt::from_u32(limits.window), limits.bi_streams, limits.uni_streams),
        None => (VarInt::MAX, 128, 128),
    };
    QuicTransportConfig::builder()
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW))
        .receive_window(window)
        .datagram_receive_buffer_size(Some(DATAGRAMS))
        .send_window(SEND_WINDOW)
        .max_idle_timeout(IdleTimeout::try_from(IDLE).ok())
        .keep_alive_interval(keep_alive)
        .default_path_keep_alive_interval(keep_alive)
        // Each side controls its own sending rate.
        .congestion_controller_factory(Arc::new(PacingConfig))
        .max_concurrent_bidi_streams(VarInt::from_u32(bi_streams))
        .max_concurrent_uni_streams(VarInt::from_u32(uni_streams))
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(mode: Mode, relay: Option<&str>, pkarr: Option<&str>, dht: Option<&str>) -> EndpointOptions {
        EndpointOptions {
            mode,
            relays: relay.into_iter().map(Into::into).collect(),
            pkarr: pkarr.map(Into::into),
            dht_bootstrap: dht.into_iter().map(Into::into).collect(),
            ..EndpointOptions::default()
        }
    }

    const RELAY: Option<&str> = Some("https://relay.example");
    const PKARR: Option<&str> = Some("https://pkarr.example/pkarr");
    const DHT: Option<&str> = Some("dht.example:6881");

    #[test]
    fn one_server_of_ones_own_and_no_public_one_is_asked() {
        for mode in [Mode::Normal, Mode::RelayOnly] {
            let public = options(mode, None, None, None).infrastructure().unwrap();
            assert_eq!(public.relays, Relays::Public);
            assert_eq!(public.pkarr.as_ref().map(Url::as_str), Some(PUBLIC_PKARR));
            assert_eq!((public.dht, public.public_dns), (Some(DhtEntry::Public), true));
            for (pkarr, dht) in [(None, None), (PKARR, None), (None, DHT), (PKARR, DHT)] {
                let own = options(mode, RELAY, pkarr, dht).infrastructure().unwrap();
                assert!(matches!(own.relays, Relays::Own(urls) if urls.len() == 1));
                assert_eq!(own.pkarr.as_ref().map(Url::as_str), pkarr);
                assert_eq!(own.dht, dht.map(|node| DhtEntry::Own(vec![node.into()])));
                assert!(!own.public_dns);
            }
        }
        let own = options(Mode::Normal, None, PKARR, None).infrastructure().unwrap();
        assert_eq!((own.relays, own.dht), (Relays::None, None), "not the public relays, either");
        assert!(options(Mode::RelayOnly, None, PKARR, None).infrastructure().is_err(), "nothing could be reached");
    }

    #[test]
    fn in_mode_lan_nobody_is_asked_whatever_is_given() {
        for (relay, pkarr, dht) in [(None, None, None), (RELAY, PKARR, DHT)] {
            let lan = options(Mode::Lan, relay, pkarr, dht).infrastructure().unwrap();
            assert_eq!(lan, Infrastructure { relays: Relays::None, pkarr: None, dht: None, public_dns: false });
        }
    }

    #[test]
    fn addresses_that_are_none_are_refused_with_a_hint() {
        let wrong = [
            options(Mode::Normal, Some("relay"), None, None),
            options(Mode::Normal, None, Some("pkarr.example"), None),
            options(Mode::Normal, None, Some("ftp://pkarr.example"), None),
            options(Mode::Normal, None, Some("https://pkarr.example/?x=1"), None),
            options(Mode::Normal, None, None, Some("dht.example")),
            options(Mode::Normal, None, None, Some(":6881")),
            options(Mode::Normal, None, None, Some("dht.example:0")),
            options(Mode::Normal, None, None, Some("[::1]:6881")),
            options(Mode::Lan, None, None, Some("dht.example:70000")),
        ];
        for options in wrong {
            let error = options.infrastructure().unwrap_err();
            assert_eq!(error.code(), "invalid_input", "{options:?}");
            assert!(!error.hint().is_empty(), "{options:?}");
        }
    }
}
