//! Command line arguments of the desktop app.

use std::{ffi::OsString, net::IpAddr, path::PathBuf};

use clap::{Parser, ValueEnum};
use yonder_core::{control::default_data_dir, identity::KeystoreChoice};

/// Which ways to other devices are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// Direct, with relays where that fails.
    Normal,
    /// The local network alone.
    Lan,
    /// Relays alone.
    RelayOnly,
}

/// Yonder joins your own devices directly: pair with three words, drop files, no account, no cloud.
#[derive(Clone, Debug, Parser)]
#[command(name = "yonder", version)]
pub struct Arguments {
    /// Where identity, settings and records are kept; otherwise `YONDER_DATA_DIR`, or the system's place.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Where the root secret is kept, recorded at the first start: auto, keychain, file or plain.
    #[arg(long, value_name = "KEYSTORE", default_value = "auto")]
    pub keystore: KeystoreChoice,
    /// Which ways to other devices are used.
    #[arg(long, value_enum, default_value = "normal")]
    pub mode: Mode,
    /// UDP port; 11204, or a free one where it is taken.
    #[arg(long, value_name = "N")]
    pub port: Option<u16>,
    /// Address to bind.
    #[arg(long, value_name = "IP")]
    pub bind: Option<IpAddr>,
    /// Relay to use instead of the public ones; repeatable.
    #[arg(long, value_name = "URL")]
    pub relay: Vec<String>,
    /// Certificate authority of the relays, for one's own.
    #[arg(long, value_name = "PEM")]
    pub relay_ca: Option<PathBuf>,
    /// Pkarr relay for codes of five words, instead of the public one.
    #[arg(long, value_name = "URL")]
    pub pkarr: Option<String>,
    /// Node of the mainline DHT to begin with, instead of the public ones; repeatable.
    #[arg(long, value_name = "HOST:PORT")]
    pub dht_bootstrap: Vec<String>,
    /// Files and `yonder:` links, as the desktop hands them over. The window asks what to do with them.
    #[arg(value_name = "PATH or LINK", hide = true)]
    pub open: Vec<OsString>,
}

impl Arguments {
    /// Returns the data directory. `None` if none was given and the system names no folder for application data.
    pub fn data_dir(&self) -> Option<PathBuf> {
        self.data_dir.clone().filter(|dir| !dir.as_os_str().is_empty()).or_else(default_data_dir)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_links_of_the_desktop_do_not_stop_the_start() {
        let arguments = Arguments::try_parse_from(["yonder", "/tmp/a file", "yonder:abc"]).unwrap();
        assert_eq!(arguments.open.len(), 2);
        assert_eq!((arguments.keystore, arguments.mode), (KeystoreChoice::Auto, Mode::Normal));
    }

    #[test]
    fn options_have_the_command_lines_names() {
        let arguments = Arguments::try_parse_from([
            "yonder",
            "--data-dir",
            "/d",
            "--keystore",
            "plain",
            "--mode",
            "relay-only",
            "--port",
            "7",
            "--bind",
            "127.0.0.1",
            "--relay",
            "https://a",
            "--relay",
            "https://b",
        ])
        .unwrap();
        assert_eq!(arguments.data_dir(), Some(PathBuf::from("/d")));
        assert_eq!((arguments.keystore, arguments.mode), (KeystoreChoice::Plain, Mode::RelayOnly));
        assert_eq!((arguments.port, arguments.relay.len()), (Some(7), 2));
    }

    #[test]
    fn without_a_name_the_platforms_place_is_used() {
        let mut arguments = Arguments::try_parse_from(["yonder", "--data-dir", "/d"]).unwrap();
        arguments.data_dir = None;
        assert_eq!(arguments.data_dir(), default_data_dir());
        arguments.data_dir = Some(PathBuf::new());
        assert_eq!(arguments.data_dir(), default_data_dir());
    }
}
