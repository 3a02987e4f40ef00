//! Asks internet servers whether they answer, how fast, and for their time. The caller passes only servers that the
//! node itself may ask.

use std::{
    net::SocketAddr,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use futures_util::future::join;
use iroh::tls::CaTlsConfig;
use reqwest::{Client, header::DATE, redirect::Policy};
use rustls::{CertificateError, ClientConfig, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use tokio::time::{Instant, timeout};
use url::Url;

use crate::{
    diagnostics::facts::{ProbeResult, RelayLink, Server, ServerFault, ServerKind},
    discovery::http_date,
};

const CONNECT: Duration = Duration::from_secs(4);
const WHOLE_REQUEST: Duration = Duration::from_secs(6);
/// UDP port on which relays answer QUIC address discovery.
const ADDRESS_DISCOVERY: u16 = 7842;
/// Time limit of resolving a name.
const NAME: Duration = Duration::from_secs(3);

/// A server to ask.
#[derive(Clone, Debug)]
pub struct ServerToAsk {
    /// Purpose of the server.
    pub kind: ServerKind,
    /// URL of the server.
    pub url: Url,
    /// True if it may also be asked over UDP.
    pub udp: bool,
    /// Status of the node's own connection to it.
    pub link: RelayLink,
}

/// Builds the TLS configuration if there is no node.
///
/// # Errors
/// When the file of the custom authority cannot be read.
pub fn tls_for_servers(own: Option<&Path>) -> Result<ClientConfig, String> {
    let trusted = match own {
        None => CaTlsConfig::default(),
        Some(path) => {
            let read = CertificateDer::pem_file_iter(path).and_then(|all| all.collect::<Result<Vec<_>, _>>());
            CaTlsConfig::custom_roots(read.map_err(|error| error.to_string())?)
        }
    };
    trusted.client_config(Arc::new(aws_lc_rs::default_provider())).map_err(|error| error.to_string())
}

/// Asks one server over TCP and, if it is a relay, over UDP.
pub async fn ask(server: ServerToAsk, tls: ClientConfig) -> Server {
    let (http, udp) = join(get(&server, tls), by_udp(&server)).await;
    let (answer, clock) = http;
    Server { kind: server.kind, url: shown(&server.url), answer, clock, udp, link: server.link }
}

/// Formats a URL without the parts that may be secret.
fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    let _ = (url.set_username(""), url.set_password(None));
    url.to_string().trim_end_matches('/').into()
}

async fn get(server: &ServerToAsk, tls: ClientConfig) -> (Result<Duration, ServerFault>, Option<i64>) {
    let client = Client::builder()
        .tls_backend_preconfigured(tls)
        .connect_timeout(CONNECT)
        .timeout(WHOLE_REQUEST)
        .redirect(Policy::none())
        .build();
    let client = match client {
        Ok(client) => client,
        Err(error) => return (Err(ServerFault::Strange(error.to_string())), None),
    };
    let mut page = server.url.clone();
    if server.kind == ServerKind::Relay {
        page.set_path("/ping");
    }
    let (begun, clock) = (Instant::now(), SystemTime::now());
    let response = match client.get(page).send().await {
        Ok(response) => response,
        Err(error) => return (Err(fault(&error)), None),
    };
    let took = begun.elapsed();
    let date = response.headers().get(DATE).and_then(|date| date.to_str().ok()).and_then(http_date);
    let offset = date.and_then(|theirs| offset(theirs, clock, took));
    // A pkarr server answers the wrong question with an error of its own. A redirect comes from another server in its
    // place.
    let fits = match server.kind {
        ServerKind::Relay => response.status().is_success(),
        ServerKind::Pkarr => !response.status().is_redirection() && !response.status().is_server_error(),
    };
    let answer = if fits { Ok(took) } else { Err(ServerFault::Strange(format!("it says {}", response.status()))) };
    (answer, offset)
}

/// Returns the seconds by which their clock is ahead of ours. They send whole seconds, as of half a round trip ago.
fn offset(theirs: Duration, ours: SystemTime, took: Duration) -> Option<i64> {
    let ours = ours.duration_since(UNIX_EPOCH).ok()?.as_secs_f64() + took.as_secs_f64() / 2.0;
    Some((theirs.as_secs_f64() + 0.5 - ours).round() as i64)
}

fn fault(error: &reqwest::Error) -> ServerFault {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    let mut last = String::new();
    while let Some(error) = cause {
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        let tls = error
            .downcast_ref::<rustls::Error>()
            .or_else(|| inner.and_then(|inner| inner.downcast_ref::<rustls::Error>()));
        if let Some(tls) = tls {
            return tls_fault(tls);
        }
        last = error.to_string();
        if last.contains("dns error") {
            return ServerFault::Name;
        }
        cause = error.source();
    }
    if error.is_connect() || error.is_timeout() { ServerFault::Unreachable } else { ServerFault::Strange(last) }
}

fn tls_fault(error: &rustls::Error) -> ServerFault {
    use CertificateError::{Expired, ExpiredContext, NotValidYet, NotValidYetContext};
    match error {
        rustls::Error::InvalidCertificate(
            Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. },
        ) => ServerFault::CertificateTime,
        rustls::Error::InvalidCertificate(other) => ServerFault::Certificate(other.to_string()),
        other => ServerFault::Strange(other.to_string()),
    }
}

/// Measures a relay's response time over UDP, by the faster of its addresses.
async fn by_udp(server: &ServerToAsk) -> Option<Option<Duration>> {
    if !server.udp || server.kind != ServerKind::Relay || server.url.scheme() != "https" {
        return None;
    }
    let host = server.url.host_str()?.trim_matches(['[', ']']).to_owned();
    let found = timeout(NAME, tokio::net::lookup_host((host.as_str(), ADDRESS_DISCOVERY))).await;
    let found: Vec<SocketAddr> = found.ok()?.ok()?.collect();
    // One address of each family. Usually only one of them can be reached from here.
    let v4 = found.iter().find(|at| at.is_ipv4()).copied();
    let v6 = found.iter().find(|at| at.is_ipv6()).copied();
    let answers = super::probe_all(v4.into_iter().chain(v6).collect()).await;
    let times = answers.into_iter().filter_map(|address| match address.result {
        ProbeResult::Answered(took) => Some(took),
        _ => None,
    });
    Some(times.min())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_secret_of_an_address_is_shown() {
        let url = "https://user:word@relay.example:8443/path?token=abc#x".parse().unwrap();
        assert_eq!(shown(&url), "https://relay.example:8443/path");
    }

    #[test]
    fn an_offset_has_the_sign_of_who_is_ahead() {
        let ours = UNIX_EPOCH + Duration::from_secs(1000);
        let at = |theirs, took| offset(Duration::from_secs(theirs), ours, Duration::from_secs(took)).unwrap();
        assert_eq!((at(87_400, 0), at(900, 0), at(1001, 2)), (86_401, -100, 1));
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_unreachable() {
        let closed = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let url = format!("https://127.0.0.1:{closed}").parse().unwrap();
        let server = ServerToAsk { kind: ServerKind::Relay, url, udp: false, link: RelayLink::None };
        let asked = ask(server, tls_for_servers(None).unwrap()).await;
        assert_eq!((asked.answer, asked.udp, asked.clock), (Err(ServerFault::Unreachable), None, None));
    }
}
