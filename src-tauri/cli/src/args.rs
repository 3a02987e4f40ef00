//! Definition of the command line arguments. Doc comments of arguments are their help texts.

use std::{net::IpAddr, path::PathBuf};

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use yonder_core::{api, identity::KeystoreChoice};

use crate::text;

/// Join your own devices directly: pair with three words, send files, no account, no cloud.
#[derive(Debug, Parser)]
#[command(name = "yonder-cli", version, max_term_width = 110)]
#[command(after_help = "DEVICE is a name, a device id, or a unique beginning of one.\n\
    Exit status: 0 done, 1 failed, 2 wrong usage, 3 refused by the other side, 4 not reachable,\n\
    5 done, but something was left out.")]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// Options that every command takes.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Where this device's identity and state are kept [default: YONDER_DATA_DIR, or the system's place for it]
    #[arg(long, global = true, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Print one JSON object a line on stdout; what is meant for people goes to stderr
    #[arg(long, global = true)]
    pub json: bool,
    /// UDP port; 0 takes any free one [default: 11204, or a free one where that is taken]
    #[arg(long, global = true, value_name = "N")]
    pub port: Option<u16>,
    /// Address of this machine to listen on [default: all]
    #[arg(long, global = true, value_name = "IP")]
    pub bind: Option<IpAddr>,
    /// Which ways to other devices may be used
    #[arg(long, global = true, value_enum)]
    pub mode: Option<Mode>,
    /// A relay to use instead of the public ones and those of the settings (may be repeated); YONDER_RELAY_TOKEN is the
    /// token that it may ask for. With this or --pkarr or --dht-bootstrap, no public
    /// server of any kind is asked
    #[arg(long, global = true, value_name = "URL")]
    pub relay: Vec<String>,
    /// Certificate authority that servers of one's own are checked against
    #[arg(long, global = true, value_name = "PEM")]
    pub relay_ca: Option<PathBuf>,
    /// A pkarr server to use instead of the public one
    #[arg(long, global = true, value_name = "URL")]
    pub pkarr: Option<String>,
    /// A node at which to enter the mainline DHT, HOST:PORT (may be repeated)
    #[arg(long, global = true, value_name = "ADDR")]
    pub dht_bootstrap: Vec<String>,
    /// Where the secret is kept; the passphrase of `file` comes from YONDER_PASSPHRASE or a prompt
    #[arg(long, global = true, value_enum)]
    pub keystore: Option<Keystore>,
    /// Log what happens to stderr (more with -vv, -vvv)
    #[arg(short, global = true, action = ArgAction::Count)]
    pub verbose: u8,
}

/// Which ways to other devices may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// The LAN, the internet, and relays
    Normal,
    /// The LAN alone: no server is ever asked
    Lan,
    /// Relays alone: the address stays hidden
    RelayOnly,
}

/// Where the secret is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Keystore {
    /// As recorded; at first the keychain, or an encrypted file where there is none
    Auto,
    /// The system's keychain
    Keychain,
    /// A file under a passphrase
    File,
    /// A file without passphrase, for a machine without a person
    Plain,
}

impl From<Keystore> for KeystoreChoice {
    fn from(choice: Keystore) -> Self {
        match choice {
            Keystore::Auto => Self::Auto,
            Keystore::Keychain => Self::Keychain,
            Keystore::File => Self::File,
            Keystore::Plain => Self::Plain,
        }
    }
}

/// What happens to offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Accept {
    /// `accept` and `decline` decide
    Ask,
    /// Offers of paired devices are accepted
    Paired,
    /// Every offer is declined
    None,
}

impl From<Accept> for api::AcceptRule {
    fn from(rule: Accept) -> Self {
        match rule {
            Accept::Ask => Self::Ask,
            Accept::Paired => Self::Paired,
            Accept::None => Self::None,
        }
    }
}

/// What to do where a name is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Conflict {
    /// The new one gets another name
    KeepBoth,
    /// What is identical is not sent; others as in keep-both
    Skip,
    /// The old one goes to the trash, unless it is identical
    Replace,
}

impl From<Conflict> for api::ConflictRule {
    fn from(rule: Conflict) -> Self {
        match rule {
            Conflict::KeepBoth => Self::KeepBoth,
            Conflict::Skip => Self::Skip,
            Conflict::Replace => Self::Replace,
        }
    }
}

/// What to do.
#[derive(Debug, PartialEq, Subcommand)]
pub enum Command {
    /// Show this device
    Id,
    /// Run until interrupted, and tell what happens
    Serve(Serve),
    /// Pair with another device
    #[command(subcommand)]
    Pair(Pair),
    /// Approve the pairing that waits
    Approve {
        /// Owner of the device: you, or somebody else
        #[arg(long = "as", value_enum, value_name = "WHOSE", default_value = "own")]
        level: Whose,
    },
    /// Reject the pairing that waits
    Reject,
    /// List paired and nearby devices
    Devices,
    /// Forget a paired device, and tell it
    Unpair {
        #[arg(value_name = "DEVICE")]
        device: String,
    },
    /// Refuse a paired device from now on, without telling it
    Block {
        #[arg(value_name = "DEVICE")]
        device: String,
    },
    /// Take a block back; the device counts as somebody else's then
    Unblock {
        #[arg(value_name = "DEVICE")]
        device: String,
    },
    /// Say what a paired device is to you, and what it may do by itself
    Trust(Trust),
    /// Call a paired device by the name that it announces now
    TakeName {
        #[arg(value_name = "DEVICE")]
        device: String,
    },
    /// Agree on new keys with a paired device; this happens by itself every 30 days
    RenewKeys {
        #[arg(value_name = "DEVICE")]
        device: String,
    },
    /// Give this device another name
    Rename {
        /// 1 to 64 characters
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Show the settings, or one, or change one. `relay_token -` asks for the token, or reads it from stdin
    Settings {
        #[arg(value_name = "KEY")]
        key: Option<String>,
        #[arg(value_name = "VALUE")]
        value: Option<String>,
    },
    /// Show the relays and how they stand
    Relays {
        /// Measure them first
        #[arg(long)]
        probe: bool,
    },
    /// Show where this device's secret is kept; move it, back it up, bring it back
    Keystore {
        #[command(subcommand)]
        step: Option<KeystoreStep>,
    },
    /// Send files and folders to a paired device
    Send(Send),
    /// List transfers
    Transfers {
        /// Also those that have ended
        #[arg(long)]
        all: bool,
        /// Only those in which every one of these words is found: in a name, a device's name or a state
        #[arg(long, value_name = "WORDS")]
        find: Option<String>,
    },
    /// Accept an offer
    Accept {
        /// The transfer's id, or a unique beginning of it
        #[arg(value_name = "ID")]
        id: String,
        /// Folder to put it into [default: the download folder]
        #[arg(long, value_name = "DIR")]
        into: Option<PathBuf>,
        /// What to do where a name is taken [default: the setting `conflict`]
        #[arg(long, value_enum, value_name = "RULE")]
        conflict: Option<Conflict>,
    },
    /// Decline an offer
    Decline {
        /// The transfer's id, or a unique beginning of it
        #[arg(value_name = "ID")]
        id: String,
    },
    /// Stop a transfer, on both sides
    Cancel {
        /// The transfer's id, or a unique beginning of it
        #[arg(value_name = "ID")]
        id: String,
    },
    /// Hold a transfer until `resume`, over restarts too
    Pause {
        /// The transfer's id, or a unique beginning of it
        #[arg(value_name = "ID")]
        id: String,
    },
    /// Let a transfer go on that was paused here or that a full disk holds, or try at once what waits
    Resume {
        /// The transfer's id, or a unique beginning of it
        #[arg(value_name = "ID")]
        id: String,
    },
    /// Send what is missing of a transfer that has ended: what failed, was left out or not taken; if nothing is, all of it
    Retry {
        /// The transfer's id, or a unique beginning of it
        #[arg(value_name = "ID")]
        id: String,
    },
    /// Give a transfer from here another place in the queue
    Order {
        /// The transfer's id, or a unique beginning of it
        #[arg(value_name = "ID")]
        id: String,
        /// The transfer before which it comes, or `last` [default: before all others]
        #[arg(long, value_name = "ID")]
        before: Option<String>,
    },
    /// Limit all transfers together, or one; also those that are under way
    Limit {
        /// Bytes a second: 500k, 2M, 1.5GB/s; `off` for no limit
        #[arg(value_name = "RATE", value_parser = text::parse_limit)]
        rate: u64,
        /// This transfer alone: its id, or a unique beginning of it
        #[arg(long, value_name = "ID")]
        transfer: Option<String>,
    },
    /// Send a text to a paired device; it waits for one that is away
    Text {
        #[arg(value_name = "DEVICE")]
        device: String,
        /// What to say; `-` reads it from stdin
        #[arg(value_name = "MESSAGE", required = true, num_args = 1..)]
        message: Vec<String>,
    },
    /// Show the texts exchanged with a device, or with all
    Messages {
        #[arg(value_name = "DEVICE")]
        device: Option<String>,
        /// Only so many of the newest with each device
        #[arg(short, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=200))]
        number: u32,
    },
    /// Measure round trips to a paired device
    Ping {
        #[arg(value_name = "DEVICE")]
        device: String,
        /// How many
        #[arg(short, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=1000))]
        count: u32,
    },
    /// Look at what works and what is in the way, or try every way to one device
    Doctor(Doctor),
    /// Let two devices on this machine pair and send a folder, and check every byte
    Demo {
        /// Leave the folders there, and say where
        #[arg(long)]
        keep: bool,
    },
    /// Measure the transport alone and what comes on top of it, side by side, on this machine
    Bench(Bench),
}

/// Measure the transport alone and what comes on top of it.
#[derive(Clone, Debug, PartialEq, Args)]
pub struct Bench {
    /// How much is sent each time: 500M, 2G
    #[arg(long, value_name = "SIZE", default_value = "500M", value_parser = text::parse_rate)]
    pub size: u64,
    /// Into how many files the same bytes are cut
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub files: u32,
    /// How often each is measured; the median counts
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=100))]
    pub rounds: u8,
    /// Be the other end of bare streams, until stdin ends.
    #[arg(long, hide = true)]
    pub far_end: bool,
}

/// Look at what works and what is in the way.
#[derive(Clone, Debug, Default, PartialEq, Args)]
pub struct Doctor {
    /// A paired device, to which every way is tried
    #[arg(value_name = "DEVICE")]
    pub device: Option<String>,
    /// Print a text to pass on, without secrets, names, whole addresses and ids
    #[arg(long)]
    pub report: bool,
}

/// Run until interrupted.
#[derive(Clone, Debug, Default, PartialEq, Args)]
pub struct Serve {
    /// Folder that received files land in, while this runs
    #[arg(long, value_name = "DIR")]
    pub download_dir: Option<PathBuf>,
    /// What happens to offers, while this runs [default: as in the settings, at first `ask`]
    #[arg(long, value_enum)]
    pub accept: Option<Accept>,
    /// End when stdin does: a program that starts us and is killed leaves nothing behind.
    #[arg(long, hide = true)]
    pub until_stdin_ends: bool,
}

/// What to do with the secret.
#[derive(Debug, PartialEq, Subcommand)]
pub enum KeystoreStep {
    /// Move it to another place; from file to file gives the file a new passphrase
    Move {
        /// A new passphrase comes from YONDER_NEW_PASSPHRASE or a prompt
        #[arg(value_name = "KEYSTORE", value_enum)]
        to: KeystorePlace,
    },
    /// Seal everything that is remembered under a new key; the identity stays
    Rotate,
    /// Write identity and pairings to a new file, under a passphrase from YONDER_BACKUP_PASSPHRASE or a prompt
    Backup {
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Bring them back, into a data directory without an identity; --keystore says where the secret goes
    Restore {
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

/// A place that the secret can be moved to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum KeystorePlace {
    /// The system's keychain
    Keychain,
    /// A file under a passphrase
    File,
    /// A file without passphrase, for a machine without a person
    Plain,
}

impl From<KeystorePlace> for api::KeystoreView {
    fn from(place: KeystorePlace) -> Self {
        match place {
            KeystorePlace::Keychain => Self::Keychain,
            KeystorePlace::File => Self::File,
            KeystorePlace::Plain => Self::Plain,
        }
    }
}

/// Pair with another device.
#[derive(Debug, PartialEq, Subcommand)]
pub enum Pair {
    /// Show a code and wait for the other device
    Host {
        /// How many words the code has: 3 on one network, 5 for a device that is anywhere
        #[arg(long, value_name = "N", default_value = "3", value_parser = word_count)]
        words: u8,
        /// Approve without asking, once the code is proven
        #[arg(long)]
        approve: bool,
        /// Owner of the device: you, or somebody else [default: asked on a terminal, own elsewhere]
        #[arg(long = "as", value_enum, value_name = "WHOSE")]
        level: Option<Whose>,
    },
    /// Enter the code that the other device shows
    Join {
        /// Three or five words, or a `yonder:` link; `-` reads it from stdin
        #[arg(value_name = "CODE", required_unless_present = "picture", num_args = 1..)]
        code: Vec<String>,
        /// A picture of the QR code, instead: PNG, JPEG, GIF, WebP or BMP
        #[arg(long, value_name = "FILE", conflicts_with_all = ["code", "device"])]
        picture: Option<PathBuf>,
        /// Where the code is shown: a nearby device, or ENDPOINT_ID@IP:PORT
        #[arg(long, value_name = "DEVICE")]
        device: Option<String>,
        /// Approve without asking, once the code is proven
        #[arg(long)]
        approve: bool,
        /// Owner of the device: you, or somebody else [default: asked on a terminal, own elsewhere]
        #[arg(long = "as", value_enum, value_name = "WHOSE")]
        level: Option<Whose>,
    },
}

/// Say what a paired device is.
#[derive(Debug, PartialEq, Args)]
pub struct Trust {
    #[arg(value_name = "DEVICE")]
    pub device: String,
    /// One of your own devices, or somebody else's, which is always asked about unless it has a rule of its own
    #[arg(long = "as", value_enum, value_name = "WHOSE")]
    pub level: Option<Whose>,
    /// What happens to its offers
    #[arg(long, value_enum)]
    pub accept: Option<Accepts>,
    /// With `--accept always`: at most so much a day, more is asked about: 500M, 2G
    #[arg(long, value_name = "SIZE", value_parser = text::parse_rate)]
    pub up_to: Option<u64>,
    /// With `--accept always`: folder to put it into [default: the download folder]
    #[arg(long, value_name = "DIR")]
    pub into: Option<PathBuf>,
}

/// Owner of a device that is paired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Whose {
    /// One of your own
    Own,
    /// Somebody else's
    Other,
}

impl From<Whose> for api::TrustLevel {
    fn from(whose: Whose) -> Self {
        match whose {
            Whose::Own => Self::Own,
            Whose::Other => Self::Other,
        }
    }
}

/// What happens to the offers of one device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Accepts {
    /// As the setting `accept` says
    Default,
    /// You are asked
    Ask,
    /// They are accepted by themselves
    Always,
}

impl From<Accepts> for api::DeviceAccept {
    fn from(accepts: Accepts) -> Self {
        match accepts {
            Accepts::Default => Self::Default,
            Accepts::Ask => Self::Ask,
            Accepts::Always => Self::Always,
        }
    }
}

/// Send files and folders.
#[derive(Debug, PartialEq, Args)]
pub struct Send {
    /// Whom to
    #[arg(value_name = "DEVICE")]
    pub device: String,
    /// Files and folders; `-` is standard input
    #[arg(value_name = "PATH", required = true)]
    pub paths: Vec<PathBuf>,
    /// The name under which standard input, or the only PATH, arrives
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Send it to this device, too; may be repeated
    #[arg(long, value_name = "DEVICE")]
    pub also: Vec<String>,
    /// Offer nothing if something that is named cannot be sent
    #[arg(long)]
    pub strict: bool,
    /// Send everything as it is; else what is worth it is compressed where the network is slow
    #[arg(long)]
    pub no_compress: bool,
    /// Leave the protection of the contents to TLS alone, without keys of their own beneath it
    #[arg(long)]
    pub no_encrypt: bool,
    /// At most this many bytes a second: 500k, 2M, 1.5GB/s; `off` for no limit of its own
    #[arg(long, value_name = "RATE", value_parser = text::parse_limit)]
    pub limit: Option<u64>,
    /// Only queue it: the running node sends, now or when the device is there, and `transfers` shows how far it is
    #[arg(long)]
    pub background: bool,
}

fn word_count(text: &str) -> Result<u8, String> {
    match text {
        "3" => Ok(3),
        "5" => Ok(5),
        _ => Err("a code has three words, or five".into()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(std::iter::once("yonder-cli").chain(line.split_whitespace()))
    }

    #[test]
    fn definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn global_options_may_stand_before_and_after_the_command() {
        for line in [
            "--data-dir /d --json --port 0 --bind 127.0.0.1 --mode lan --keystore plain -vv id",
            "id --data-dir /d --json --port 0 --bind 127.0.0.1 --mode lan --keystore plain -v -v",
        ] {
            let global = parse(line).unwrap().global;
            assert_eq!(global.data_dir.unwrap(), PathBuf::from("/d"));
            assert_eq!((global.json, global.port, global.verbose), (true, Some(0), 2));
            assert_eq!(global.bind, Some([127, 0, 0, 1].into()));
            assert_eq!((global.mode, global.keystore), (Some(Mode::Lan), Some(Keystore::Plain)));
        }
        let relays = parse("id --relay https://a --relay https://b --mode relay-only").unwrap().global;
        assert_eq!((relays.relay.len(), relays.mode), (2, Some(Mode::RelayOnly)));
    }

    #[test]
    fn every_command_of_this_version_parses() {
        for line in [
            "id",
            "serve",
            "serve --download-dir d --accept paired",
            "pair host",
            "pair host --words 3 --approve",
            "pair host --words 5",
            "pair host --as other --approve",
            "pair join a-b-c --as own",
            "approve --as other",
            "take-name x",
            "pair host --pkarr https://p --dht-bootstrap a:1 --dht-bootstrap b:2",
            "pair join a b c d e",
            "pair join a-b-c",
            "pair join a b c",
            "pair join --picture /tmp/code.png",
            "pair join - --device id@1.2.3.4:5 --approve",
            "approve",
            "reject",
            "devices",
            "unpair x",
            "block x",
            "unblock x",
            "trust x",
            "trust x --as other --accept always --up-to 2G --into d",
            "renew-keys x",
            "rename x",
            "settings",
            "settings accept",
            "settings accept paired",
            "keystore",
            "keystore move keychain",
            "keystore move file",
            "keystore move plain",
            "keystore rotate",
            "keystore backup f",
            "keystore restore f --keystore file",
            "send x a b",
            "send x a --background",
            "send x a --no-compress --no-encrypt --limit 1.5M",
            "send x a --limit off",
            "send x a --limit 0",
            "limit off",
            "limit 1.5GB/s",
            "transfers",
            "transfers --all",
            "accept 1 --into d --conflict keep-both",
            "accept 1 --conflict skip",
            "accept 1 --conflict replace",
            "decline 1",
            "cancel 1",
            "text x hello",
            "text x hello there",
            "text x -",
            "messages",
            "messages x -n 5",
            "ping x",
            "ping x -c 100",
            "doctor",
            "doctor x --report",
            "demo",
            "bench",
            "bench --size 30M --files 100 --rounds 1",
        ] {
            parse(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        }
    }

    #[test]
    fn wrong_usage_is_refused() {
        for line in [
            "",
            "nonsense",
            "id extra",
            "pair",
            "pair join",
            "pair join a-b-c --picture /tmp/code.png",
            "send x",
            "send",
            "ping x -c 0",
            "ping x -c 1001",
            "trust x --as blocked",
            "trust x --accept never",
            "trust x --up-to much",
            "id --port 65536",
            "id --bind nowhere",
            "id --mode fast",
            "serve --accept all",
            "accept 1 --conflict overwrite",
            "send x a --limit fast",
            "send x a --limit 500",
            "limit 500",
            "limit 2000G",
            "pair host --words 4",
            "keystore move",
            "keystore move auto",
            "keystore move cloud",
            "keystore backup",
            "keystore restore a b",
            "keystore passphrase",
            "text x",
            "messages x -n 0",
            "pause",
            "limit",
            "limit fast",
            "doctor a b",
            "bench --size much",
            "bench --files 0",
        ] {
            let error = parse(line).unwrap_err();
            // Without arguments the help is printed to stderr.
            assert_eq!(error.exit_code(), 2, "{line}: {error}");
        }
    }

    #[test]
    fn a_code_has_three_words_unless_five_are_asked_for() {
        for (line, expected) in [("pair host", 3), ("pair host --words 5", 5)] {
            let Command::Pair(Pair::Host { words, .. }) = parse(line).unwrap().command else { panic!("{line}") };
            assert_eq!(words, expected);
        }
    }
}
