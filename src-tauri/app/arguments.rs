//! Command line arguments of the desktop app.

use std::{ffi::OsString, net::IpAddr, path::PathBuf};

use clap::{Parser, ValueEnum};
use yonder_core::{control::default_data_dir, identity::KeystoreChoice};

/// Permitted kinds of connections to other devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// Direct connections on the LAN and the internet, and relays.
    Normal,
    /// The LAN only; no server is ever asked.
    Lan,
    /// Relays only, which hides this machine's address from the other device.
    RelayOnly,
}

/// Yonder joins your own devices directly: pair with three words, drop files, no account, no cloud.
#[derive(Clone, Debug, Parser)]
#[command(name = "yonder", version)]
pub struct Arguments {
    /// Folder with this device's identity and state [default: $YONDER_DATA_DIR, or the system's folder for app data]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Where this device's secret is kept, chosen at the first start: auto, keychain, file or plain.
    #[arg(long, value_name = "KEYSTORE", default_value = "auto")]
    pub keystore: KeystoreChoice,
    /// Kinds of connections to other devices that may be used.
    #[arg(long, value_enum, default_value = "normal")]
    pub mode: Mode,
    /// UDP port to listen on; 0 means any free port [default: 11204, or a free port if it is taken]
    #[arg(long, value_name = "N")]
    pub port: Option<u16>,
    /// Listen only on this address of this machine [default: all addresses]
    #[arg(long, value_name = "IP")]
    pub bind: Option<IpAddr>,
    /// Use this relay instead of the public ones and those in the settings; may be repeated.
    #[arg(long, value_name = "URL")]
    pub relay: Vec<String>,
    /// File with the CA certificate of your own relays and pkarr server.
    #[arg(long, value_name = "PEM")]
    pub relay_ca: Option<PathBuf>,
    /// Publish and look up device addresses at this pkarr server instead of the public one.
    #[arg(long, value_name = "URL")]
    pub pkarr: Option<String>,
    /// Join the mainline DHT through this node instead of the public ones; may be repeated.
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
