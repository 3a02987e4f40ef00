//! The one endpoint: port, mode, relays, transport.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6},
    path::PathBuf,
    time::Duration,
};

use iroh::{
    Endpoint, NetReportConfig, RelayMode, RelayUrl, SecretKey,
    dns::DnsResolver,
    endpoint::{BindError, BindOpts, Builder, IdleTimeout, PortmapperConfig, QuicTransportConfig, VarInt, presets},
    tls::CaTlsConfig,
};

use super::gate::Gate;
use crate::error::NetworkError;

/// Yonder's UDP port, if it is free.
pub const DEFAULT_PORT: u16 = 11204;
/// Above this, noq closes the connection under loss ("too many gaps in stream buffer"): it keeps 1024 gaps a stream, and a
/// larger window can hold more. Measured in `docs/performance.md`.
const STREAM_WINDOW: u32 = 2_400_000;
const SEND_WINDOW: u64 = 24 << 20;
/// A peer that is gone is noticed after this; keep-alives go out at a third of it.
const IDLE: Duration = Duration::from_secs(15);
const KEEP_ALIVE: Duration = Duration::from_secs(5);

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
    /// Own relays in place of the public ones.
    pub relays: Vec<String>,
    /// A PEM file with the certificate authority of the own relays.
    pub relay_ca: Option<PathBuf>,
}

/// Binds the endpoint.
pub(super) async fn bind(
    options: &EndpointOptions,
    secret: SecretKey,
    gate: Gate,
    alpns: Vec<Vec<u8>>,
) -> Result<Endpoint, NetworkError> {
    let attempt = |port: u16| {
        let builder = builder(options, secret.clone(), gate.clone(), alpns.clone(), port);
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
    bound.map_err(|failure| match failure {
        BindFailure::Bind(error @ BindError::Sockets { .. }) => {
            NetworkError::PortUnavailable { port: wanted, source: Box::new(error) }
        }
        BindFailure::Bind(error) => NetworkError::Internal(error.to_string()),
        BindFailure::Input(error) => error,
    })
}

enum BindFailure {
    Bind(BindError),
    Input(NetworkError),
}

fn builder(
    options: &EndpointOptions,
    secret: SecretKey,
    gate: Gate,
    alpns: Vec<Vec<u8>>,
    port: u16,
) -> Result<Builder, BindFailure> {
    let mut builder = match options.mode {
        Mode::Normal | Mode::RelayOnly if options.relays.is_empty() => Endpoint::builder(presets::N0),
        _ => Endpoint::builder(presets::Minimal),
    };
    builder = builder.secret_key(secret).alpns(alpns).transport_config(transport()).hooks(gate);
    if options.mode == Mode::Lan {
        builder = builder
            .relay_mode(RelayMode::Disabled)
            .portmapper_config(PortmapperConfig::Disabled)
            .net_report_config(NetReportConfig::minimal())
            .dns_resolver(DnsResolver::builder().disable_fallback().build());
    } else if !options.relays.is_empty() {
        builder = builder.relay_mode(own_relays(options)?);
        if let Some(path) = &options.relay_ca {
            builder = builder.ca_tls_config(CaTlsConfig::custom_roots(authorities(path)?));
        }
    }
    if options.mode == Mode::RelayOnly {
        return Ok(builder.clear_ip_transports());
    }
    let unusable = |error: iroh::endpoint::InvalidSocketAddr| {
        BindFailure::Input(NetworkError::InvalidInput { message: error.to_string(), hint: "Check --bind.".into() })
    };
    match options.bind {
        Some(ip) => builder.clear_ip_transports().bind_addr(SocketAddr::new(ip, port)).map_err(unusable),
        None => builder
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

fn own_relays(options: &EndpointOptions) -> Result<RelayMode, BindFailure> {
    let urls: Result<Vec<RelayUrl>, _> = options.relays.iter().map(|url| url.parse()).collect();
    let urls = urls.map_err(|error| {
        BindFailure::Input(NetworkError::InvalidInput {
            message: format!("a relay's address is not valid: {error}"),
            hint: "It looks like https://relay.example.org".into(),
        })
    })?;
    Ok(RelayMode::custom(urls))
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

fn transport() -> QuicTransportConfig {
    QuicTransportConfig::builder()
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW))
        .send_window(SEND_WINDOW)
        .max_idle_timeout(IdleTimeout::try_from(IDLE).ok())
        .keep_alive_interval(KEEP_ALIVE)
        .max_concurrent_bidi_streams(VarInt::from_u32(128))
        .max_concurrent_uni_streams(VarInt::from_u32(128))
        .build()
}
