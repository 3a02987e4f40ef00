//! The configuration of a relay as `iroh-relay` 1.4.1 reads it.
//!
//! The program's own types are in its `main.rs` and cannot be imported. These are the same field by field, and
//! stricter: an unknown key is an error here, while the program ignores it. [`fields_in`] reads the program's source,
//! so that a test notices when the two differ.

use std::{collections::BTreeSet, net::SocketAddr, path::PathBuf};

use serde::Deserialize;

/// `struct Config`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "they are explained where they are read")]
pub struct Config {
    #[serde(default = "yes")]
    pub enable_relay: bool,
    pub http_bind_addr: Option<SocketAddr>,
    pub tls: Option<Tls>,
    #[serde(default)]
    pub enable_quic_addr_discovery: bool,
    pub limits: Option<Limits>,
    #[serde(default = "yes")]
    pub enable_metrics: bool,
    pub metrics_bind_addr: Option<SocketAddr>,
    pub key_cache_capacity: Option<usize>,
    pub access: Option<Access>,
}

/// `enum AccessConfig`, as far as the files in `docs/relay` use it.
#[derive(Debug, Deserialize)]
#[allow(missing_docs, reason = "as above")]
pub enum Access {
    #[serde(rename = "everyone")]
    Everyone,
    #[serde(rename = "shared_token")]
    SharedToken(Vec<String>),
}

/// `struct TlsConfig`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "as above")]
pub struct Tls {
    pub https_bind_addr: Option<SocketAddr>,
    pub quic_bind_addr: Option<SocketAddr>,
    pub hostname: Option<Hostname>,
    pub cert_mode: CertMode,
    pub cert_dir: Option<PathBuf>,
    pub manual_cert_path: Option<PathBuf>,
    pub manual_key_path: Option<PathBuf>,
    pub prod_tls: Option<bool>,
    pub contact: Option<String>,
}

/// One hostname or several.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
#[allow(missing_docs, reason = "as above")]
pub enum Hostname {
    One(String),
    Many(Vec<String>),
}

/// `enum CertMode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[allow(missing_docs, reason = "as above")]
pub enum CertMode {
    Manual,
    LetsEncrypt,
    Reloading,
}

/// `struct Limits`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "as above")]
pub struct Limits {
    pub accept_conn_limit: Option<f64>,
    pub accept_conn_burst: Option<usize>,
    pub client: Option<PerClient>,
}

/// `struct PerClientRateLimitConfig`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "as above")]
pub struct PerClient {
    pub rx: Option<Rate>,
}

/// `struct RateLimitConfig`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "as above")]
pub struct Rate {
    pub bytes_per_second: Option<u32>,
    pub max_burst_bytes: Option<u32>,
}

fn yes() -> bool {
    true
}

/// Fields of each of the types above.
pub const FIELDS: [(&str, &[&str]); 5] = [
    (
        "Config",
        &[
            "enable_relay",
            "http_bind_addr",
            "tls",
            "enable_quic_addr_discovery",
            "limits",
            "enable_metrics",
            "metrics_bind_addr",
            "key_cache_capacity",
            "access",
        ],
    ),
    (
        "TlsConfig",
        &[
            "https_bind_addr",
            "quic_bind_addr",
            "hostname",
            "cert_mode",
            "cert_dir",
            "manual_cert_path",
            "manual_key_path",
            "prod_tls",
            "contact",
            // For the program's own use, not for files.
            "dangerous_http_only",
        ],
    ),
    ("Limits", &["accept_conn_limit", "accept_conn_burst", "client"]),
    ("PerClientRateLimitConfig", &["rx"]),
    ("RateLimitConfig", &["bytes_per_second", "max_burst_bytes"]),
];

/// Returns the fields of a struct in a Rust source file formatted by `rustfmt`.
pub fn fields_in(source: &str, name: &str) -> BTreeSet<String> {
    let head = format!("\nstruct {name} {{\n");
    let Some((_, body)) = source.split_once(&head) else { return BTreeSet::new() };
    let body = body.split_once("\n}\n").map_or(body, |(body, _)| body);
    let field = |line: &str| {
        let (name, _) = line.strip_prefix("    ")?.split_once(": ")?;
        name.chars().all(|c| c.is_ascii_lowercase() || c == '_').then(|| name.to_owned())
    };
    body.lines().filter_map(field).collect()
}
