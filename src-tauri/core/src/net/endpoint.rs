//! The one endpoint: port, mode, which servers may be asked, transport.

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

use super::{
    gate::Gate,
    limits::{DATAGRAMS, STREAM_WINDOW, SessionLimits, UNPROVEN},
    link_local,
    pacing::PacingConfig,
    relay::{
        Book, Checked, Fixed, Listed, NamedServers, Nearest, OwnFirst, OwnRelays, Policy, PublicResolver, RelayDesk,
        RelaySelector, Servers, public, relay_map,
    },
};
use crate::{
    api::{RelayChoice, SecretText},
    discovery::{DhtEntry, PUBLIC_PKARR},
    error::NetworkError,
};

/// Yonder's UDP port, if it is free.
pub const DEFAULT_PORT: u16 = 11204;
const SEND_WINDOW: u64 = 24 << 20;
/// Silence after which a connection counts as lost. It is counted from the first packet that was sent after something was last
/// heard (RFC 9000, section 10.1), and so begins up to [`KEEP_ALIVE`] late: a peer that was killed is lost after 19 s at most.
const IDLE: Duration = Duration::from_secs(14);
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// Who dialled says something a little earlier: whoever hears it has no need to. With one and the same time both sides would
/// speak at once, each time, and twice as many packets were sent by connections that are idle.
const KEEP_ALIVE_OF_DIALLER: Duration = Duration::from_millis(4500);

/// Which ways to other devices may be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// All: LAN, internet, relays.
    #[default]
    Normal,
    /// The LAN alone: no relay, DNS, UPnP or public resolver is ever asked.
    Lan,
    /// Relays alone: hides one's address from the other device.
    RelayOnly,
}

/// How the endpoint is bound.
#[derive(Clone, Debug, Default)]
pub struct EndpointOptions {
    /// This UDP port and no other; none means [`DEFAULT_PORT`] or, where it is taken, a free one. 0 means a free one.
    pub port: Option<u16>,
    /// This address alone; none means all.
    pub bind: Option<IpAddr>,
    /// Which ways may be used.
    pub mode: Mode,
    /// Own relays for this run. With these, or a pkarr server or DHT nodes of one's own, no public server of any kind is
    /// asked.
    pub relays: Vec<String>,
    /// Own relays that are remembered; heeded where none are given for this run. Public servers may be asked beside them,
    /// unless the choice is `fixed`.
    pub kept_relays: Vec<String>,
    /// Which relay may be the home.
    pub relay_choice: RelayChoice,
    /// Another rule than `relay_choice`.
    pub relay_selector: Option<Arc<dyn RelaySelector>>,
    /// What own relays are shown that ask for a token.
    pub relay_token: Option<SecretText>,
    /// A PEM file with the certificate authority of the own servers.
    pub relay_ca: Option<PathBuf>,
    /// An own pkarr server.
    pub pkarr: Option<String>,
    /// Own nodes at which the mainline DHT is entered, `HOST:PORT`.
    pub dht_bootstrap: Vec<String>,
}

/// Which servers of the internet may be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Infrastructure {
    /// Relays; none means none.
    pub relays: Relays,
    /// Where devices leave their relay for those that know their key.
    pub pkarr: Option<Url>,
    /// Where the mainline DHT is entered, if it may be.
    pub dht: Option<DhtEntry>,
    /// Whether the public DNS that serves the public pkarr server's records may be asked, and public resolvers where the
    /// system's fails.
    pub public_dns: bool,
}

/// Which relays may be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Relays {
    /// None.
    None,
    /// The public ones.
    Public,
    /// These alone.
    Own(Vec<RelayUrl>),
    /// These, and the public ones.
    OwnAndPublic(Vec<RelayUrl>),
}

impl EndpointOptions {
    /// Which servers of the internet may be asked. All public ones when none of one's own is given; only one's own otherwise,
    /// whatever their kind; none at all in mode `lan`. Relays of the settings go beside the public servers, unless the
    /// choice is fixed to them.
    ///
    /// # Errors
    /// When an address among them is not valid, or a mode cannot work with them.
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
            return Err(NetworkError::InvalidInput {
                message: "servers of one's own are given, but no relay, and nothing but relays may be used".into(),
                hint: "Give --relay, too.".into(),
            });
        }
        let relays = if own.is_empty() { Relays::None } else { Relays::Own(own) };
        let dht = (!nodes.is_empty()).then_some(DhtEntry::Own(nodes));
        Ok(Infrastructure { relays, pkarr, dht, ..nothing })
    }

    /// Which of these relays may be the home, and who decides.
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

/// An endpoint, and who says which servers it asks.
pub(super) struct Bound {
    pub endpoint: Endpoint,
    pub relays: RelayDesk,
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
    let mut book = Book::new(options.policy(&servers), Instant::now());
    let listed = book.list();
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
    let relays = RelayDesk::new(endpoint.clone(), book, listed);
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
            // Where there is none yet, there may be one later.
            Mode::Normal | Mode::RelayOnly => RelayMode::Custom(relay_map(listed)),
        });
    if options.mode == Mode::Lan {
        builder = builder
            .portmapper_config(PortmapperConfig::Disabled)
            .net_report_config(NetReportConfig::minimal())
            .dns_resolver(DnsResolver::builder().disable_fallback().build());
        return Ok(builder);
    }
    // Where public servers may be asked, too, the usual authorities are trusted beside one's own.
    let public = matches!(servers.relays, Relays::Public | Relays::OwnAndPublic(_));
    let trusted = match &options.relay_ca {
        None => CaTlsConfig::default(),
        Some(path) if public => CaTlsConfig::default().with_extra_roots(authorities(path)?),
        Some(path) => CaTlsConfig::custom_roots(authorities(path)?),
    };
    let mut resolver = DnsResolver::builder().with_system_defaults();
    if !servers.public_dns || matches!(servers.relays, Relays::OwnAndPublic(_)) {
        // Whoever has a relay of their own may turn to it alone at any time: then no public resolver is to be left.
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

/// Where it listens: on this port of every address, or of the one that is chosen, and on a port of its own of each of these
/// link-local addresses, for its link alone.
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
        BindFailure::Input(NetworkError::InvalidInput { message: error.to_string(), hint: "Check --bind.".into() })
    };
    match options.bind {
        Some(ip) => builder.clear_ip_transports().bind_addr(SocketAddr::new(ip, port)).map_err(unusable),
        // iroh takes no further address once there is one for all.
        None => on_links
            .iter()
            .try_fold(builder, |builder, at| builder.bind_addr_with_opts(*at, of_one_link()))
            .map_err(unusable)?
            .bind_addr(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port))
            .map_err(unusable)?
            .bind_addr_with_opts(
                SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, port, 0, 0),
                // A machine without IPv6 is no reason to fail.
                BindOpts::default().set_is_required(false),
            )
            .map_err(unusable),
    }
}

/// For all addresses of a link (their prefix is `fe80::/64`, RFC 4291): iroh gives back those of received packets without
/// the number of the link, by which it would otherwise choose the socket to answer from.
fn of_one_link() -> BindOpts {
    BindOpts::default().set_prefix_len(64).set_is_required(false).set_is_default_route(false)
}

fn invalid(message: String, hint: &str) -> NetworkError {
    NetworkError::InvalidInput { message, hint: hint.into() }
}

pub(super) fn relay_url(text: &str) -> Result<RelayUrl, NetworkError> {
    text.parse().map_err(|error| {
        invalid(format!("a relay's address is not valid: {error}"), "It looks like https://relay.example.org")
    })
}

fn pkarr_url(text: &str) -> Result<Url, NetworkError> {
    let hint = "It looks like https://pkarr.example.org/pkarr";
    let url =
        Url::parse(text).map_err(|error| invalid(format!("the pkarr server's URL is not valid: {error}"), hint))?;
    if !matches!(url.scheme(), "https" | "http") || !url.has_host() || url.query().is_some() || url.fragment().is_some()
    {
        return Err(invalid("the pkarr server's URL is not one of a web server's folder".into(), hint));
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
    // The DHT speaks IPv4 alone.
    Err(invalid(format!("{text:?} is not a node of the DHT"), "It is HOST:PORT, with a name or an IPv4 address."))
}

fn authorities(path: &std::path::Path) -> Result<Vec<rustls_pki_types::CertificateDer<'static>>, BindFailure> {
    use rustls_pki_types::pem::PemObject;
    let unreadable = |message: String| {
        BindFailure::Input(NetworkError::InvalidInput {
            message: format!("{}: {message}", path.display()),
            hint: "It has to be a PEM file with certificates.".into(),
        })
    };
    rustls_pki_types::CertificateDer::pem_file_iter(path)
        .map_err(|error| unreadable(error.to_string()))?
        .collect::<Result<_, _>>()
        .map_err(|error| unreadable(error.to_string()))
}

/// What TLS may agree on. The hybrid with ML-KEM comes first, so that what is recorded today is not opened by a quantum
/// computer later; servers on the way (relays, DNS) may know the others only.
fn provider() -> CryptoProvider {
    let kx_groups =
        vec![aws_lc_rs::kx_group::X25519MLKEM768, aws_lc_rs::kx_group::X25519, aws_lc_rs::kx_group::SECP256R1];
    CryptoProvider { kx_groups, ..aws_lc_rs::default_provider() }
}

/// An endpoint with the transport and the cryptography of the node's, and nothing else of it. It asks nobody outside.
pub(super) fn bare(at: SocketAddr, alpn: &[u8]) -> Result<Builder, NetworkError> {
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
        .map_err(|error| invalid(error.to_string(), "Check the address."))
}

/// The transport of the node's connections, without the limits of connections that have proven nothing: for whoever measures
/// beside them, and for nothing that strangers can reach.
pub fn transport() -> QuicTransportConfig {
    configured(KEEP_ALIVE, None)
}

/// How connections are configured that are dialled from here.
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
        // Each side decides how fast it sends.
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
