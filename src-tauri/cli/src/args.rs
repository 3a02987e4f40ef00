//! Definition of the command line arguments. Doc comments of arguments are their help texts.

use std::{net::IpAddr, path::PathBuf};

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use yonder_core::{api, identity::KeystoreChoice};

use crate::text;

/// Join your own devices directly: pair with three words, send files, no account, no cloud.
#[derive(Debug, Parser)]
#[command(name = "yonder-cli", version, max_term_width = 110)]
#[command(after_help = "DEVICE is the name or id of a device, or a unique prefix of one.\n\
    ID is the id of a transfer, or a unique prefix of one.\n\
    The options from --port to --keystore have an effect only if the command starts a node, because none\n\
    runs on the data directory.\n\
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
    /// Folder with this device's identity and state [default: $YONDER_DATA_DIR, or the system's folder for app data]
    #[arg(long, global = true, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Print one JSON object a line on stdout; messages for people go to stderr
    #[arg(long, global = true)]
    pub json: bool,
    /// UDP port to listen on; 0 means any free port [default: 11204, or a free port if it is taken]
    #[arg(long, global = true, value_name = "N")]
    pub port: Option<u16>,
    /// Listen only on this address of this machine [default: all addresses]
    #[arg(long, global = true, value_name = "IP")]
    pub bind: Option<IpAddr>,
    /// Kinds of connections to other devices that may be used [default: normal]
    #[arg(long, global = true, value_enum)]
    pub mode: Option<Mode>,
    /// Use this relay instead of the public ones and those in the settings; may be repeated
    ///
    /// If the relay requires a token, it is taken from YONDER_RELAY_TOKEN. With --relay, --pkarr or --dht-bootstrap, no
    /// public server of any kind is asked.
    #[arg(long, global = true, value_name = "URL")]
    pub relay: Vec<String>,
    /// File with the CA certificate of your own relays and pkarr server
    #[arg(long, global = true, value_name = "PEM")]
    pub relay_ca: Option<PathBuf>,
    /// Publish and look up device addresses at this pkarr server instead of the public one
    #[arg(long, global = true, value_name = "URL")]
    pub pkarr: Option<String>,
    /// Join the mainline DHT through this node, HOST:PORT, instead of the public ones; may be repeated
    #[arg(long, global = true, value_name = "ADDR")]
    pub dht_bootstrap: Vec<String>,
    /// Where this device's secret is kept; chosen at the first start [default: auto]
    ///
    /// The passphrase of `file` comes from YONDER_PASSPHRASE, or a prompt. `keystore move` moves the secret later.
    #[arg(long, global = true, value_enum)]
    pub keystore: Option<Keystore>,
    /// Log to stderr; -vv and -vvv log more
    ///
    /// The environment variable RUST_LOG overrides this option.
    #[arg(short, global = true, action = ArgAction::Count)]
    pub verbose: u8,
}

/// Permitted kinds of connections to other devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// Direct connections on the LAN and the internet, and relays
    Normal,
    /// The LAN only; no server is ever asked
    Lan,
    /// Relays only, which hides this machine's address from the other device
    RelayOnly,
}

/// Keystore of this device's secret, as the user requests it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Keystore {
    /// The present one; at the first start the keychain or, if there is none, an encrypted file
    Auto,
    /// The system's keychain
    Keychain,
    /// A file that is encrypted under a passphrase
    File,
    /// A file without a passphrase, protected only by its permissions; for machines that start without a person
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

/// Rule for incoming offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Accept {
    /// You are asked, and answer by `accept` or `decline`
    Ask,
    /// Offers of your own devices are accepted; you are asked about those of other people's devices
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

/// Rule for names that exist already at the receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Conflict {
    /// Keep both: the new file gets a number, as in `photo (2).jpg`
    KeepBoth,
    /// Do not receive identical files again; keep both if they differ
    Skip,
    /// Move the old file to the trash if it differs; do not receive identical files again
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

/// The commands.
#[derive(Debug, PartialEq, Subcommand)]
pub enum Command {
    /// Show this device: its name, ids, port and addresses
    Id,
    /// Run a node until Ctrl-C, and print what happens
    Serve(Serve),
    /// Pair with another device
    #[command(subcommand)]
    Pair(Pair),
    /// Approve the pairing that waits for an answer
    Approve {
        /// Owner of the device: you, or somebody else
        #[arg(long = "as", value_enum, value_name = "WHOSE", default_value = "own")]
        level: Whose,
    },
    /// Reject the pairing that waits for an answer
    Reject,
    /// List paired and nearby devices
    Devices,
    /// End the pairing with a device, and tell it
    ///
    /// A device that is away learns of it at its next contact.
    Unpair {
        /// Name or id of a paired device, or a unique prefix of one
        #[arg(value_name = "DEVICE")]
        device: String,
    },
    /// Block a paired device: refuse it everywhere, without telling it why
    Block {
        /// Name or id of a paired device, or a unique prefix of one
        #[arg(value_name = "DEVICE")]
        device: String,
    },
    /// Unblock a device, which then counts as somebody else's
    Unblock {
        /// Name or id of a blocked device, or a unique prefix of one
        #[arg(value_name = "DEVICE")]
        device: String,
    },
    /// Show or change the owner of a paired device, and the rule for its offers
    ///
    /// Without options, both are shown.
    Trust(Trust),
    /// Use the new name that a paired device announces
    ///
    /// A device keeps the name that it had when it was paired. If it announces another one, `devices` shows it.
    TakeName {
        /// Name or id of a paired device, or a unique prefix of one
        #[arg(value_name = "DEVICE")]
        device: String,
    },
    /// Renew the pairing secret that is shared with a connected device
    ///
    /// This also happens automatically every 30 days.
    RenewKeys {
        /// Name or id of a paired device, or a unique prefix of one
        #[arg(value_name = "DEVICE")]
        device: String,
    },
    /// Change the name of this device
    Rename {
        /// New name, 1 to 64 characters
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Show all settings, show one, or change one
    ///
    /// The relay token is a secret, and not given as an argument: `settings relay_token -` asks for it, or reads it
    /// from stdin.
    Settings {
        /// Setting to show or change, such as `download_dir`; without it, all settings are shown
        #[arg(value_name = "KEY")]
        key: Option<String>,
        /// New value; without it, the present one is shown
        #[arg(value_name = "VALUE")]
        value: Option<String>,
    },
    /// List the known relays with their state, the home relay first
    Relays {
        /// Measure the round trip to each relay first, which takes up to 3 seconds
        #[arg(long)]
        probe: bool,
    },
    /// Show where this device's secret is kept, move it, back it up or restore it
    ///
    /// Without a subcommand, shows where the secret is kept and whether it can be read there.
    Keystore {
        #[command(subcommand)]
        step: Option<KeystoreStep>,
    },
    /// Send files and folders to a paired device
    ///
    /// Waits until the receiver has verified every byte. The exit status is 5 if something was left out.
    Send(Send),
    /// List the transfers that have not ended, or all of them
    Transfers {
        /// Include transfers that have ended
        #[arg(long)]
        all: bool,
        /// List only transfers with all of these words in a top-level name, a device's name or a state
        #[arg(long, value_name = "WORDS")]
        find: Option<String>,
    },
    /// Accept an offer
    Accept {
        /// Id of the transfer, or a unique prefix of it
        #[arg(value_name = "ID")]
        id: String,
        /// Existing folder that receives the files [default: the download folder]
        #[arg(long, value_name = "DIR")]
        into: Option<PathBuf>,
        /// Action if a name exists already in the folder [default: the setting `conflict`]
        #[arg(long, value_enum, value_name = "RULE")]
        conflict: Option<Conflict>,
    },
    /// Decline an offer
    Decline {
        /// Id of the transfer, or a unique prefix of it
        #[arg(value_name = "ID")]
        id: String,
    },
    /// Cancel a transfer on both sides
    Cancel {
        /// Id of the transfer, or a unique prefix of it
        #[arg(value_name = "ID")]
        id: String,
    },
    /// Pause a transfer until `resume`, also across restarts
    Pause {
        /// Id of the transfer, or a unique prefix of it
        #[arg(value_name = "ID")]
        id: String,
    },
    /// Resume a transfer that was paused on this side, or retry a waiting one at once
    ///
    /// Transfers that wait, or that a full disk paused, also continue automatically as soon as they can.
    Resume {
        /// Id of the transfer, or a unique prefix of it
        #[arg(value_name = "ID")]
        id: String,
    },
    /// Send what is missing of an ended outgoing transfer, as a new transfer
    ///
    /// Missing is what failed, was left out or was not accepted. If nothing is missing, or nothing arrived, everything
    /// is sent again.
    Retry {
        /// Id of the transfer, or a unique prefix of it
        #[arg(value_name = "ID")]
        id: String,
    },
    /// Move an outgoing transfer to another place in the queue
    Order {
        /// Id of the transfer, or a unique prefix of it
        #[arg(value_name = "ID")]
        id: String,
        /// Transfer before which it is sent, or `last` for the end of the queue [default: before all others]
        #[arg(long, value_name = "ID")]
        before: Option<String>,
    },
    /// Limit the rate of all transfers together, or of one
    ///
    /// The limit of all transfers applies to each direction. Running transfers follow within a second.
    Limit {
        /// Bytes a second, at least 1024, such as 500k, 2M or 1.5GB/s; `off` removes the limit
        #[arg(value_name = "RATE", value_parser = text::parse_limit)]
        rate: u64,
        /// Limit only the transfer with this id, or unique prefix of an id [default: all transfers together]
        #[arg(long, value_name = "ID")]
        transfer: Option<String>,
    },
    /// Send a text to a paired device; one that is away gets it later
    ///
    /// If the device is away and no node stays running here, the text waits for the next start, and the exit status
    /// is 4.
    Text {
        /// Name or id of a paired device, or a unique prefix of one
        #[arg(value_name = "DEVICE")]
        device: String,
        /// Text to send, at most 30 KiB; `-` reads it from stdin
        #[arg(value_name = "MESSAGE", required = true, num_args = 1..)]
        message: Vec<String>,
    },
    /// Show the texts exchanged with one device, or with all
    Messages {
        /// Name or id of a paired device, or a unique prefix of one [default: all paired devices]
        #[arg(value_name = "DEVICE")]
        device: Option<String>,
        /// Number of newest texts to show for each device, at most 200
        #[arg(short, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=200))]
        number: u32,
    },
    /// Measure round trips to a paired device
    Ping {
        /// Name or id of a paired device, or a unique prefix of one
        #[arg(value_name = "DEVICE")]
        device: String,
        /// Number of round trips, at most 1000
        #[arg(short, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=1000))]
        count: u32,
    },
    /// Check this machine, the network and the connections, with a hint for each problem
    ///
    /// The exit status is 1 if a check failed.
    Doctor(Doctor),
    /// Pair two nodes on this machine, send a folder of 300 MB between them, and compare every byte
    Demo {
        /// Keep the folders afterwards, and print where they are
        #[arg(long)]
        keep: bool,
    },
    /// Compare the speed of transfers with that of the bare transport, on this machine
    ///
    /// Needs three times SIZE in the temporary folder, and frees it afterwards.
    Bench(Bench),
}

/// Arguments of `bench`.
#[derive(Clone, Debug, PartialEq, Args)]
pub struct Bench {
    /// Bytes that each measurement sends, such as 500M or 2G
    #[arg(long, value_name = "SIZE", default_value = "500M", value_parser = text::parse_rate)]
    pub size: u64,
    /// Number of files into which these bytes are split for the measurement of many files
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub files: u32,
    /// Number of times that each figure is measured, at most 100; the median is printed
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=100))]
    pub rounds: u8,
    /// Serve as the other end of bare streams until stdin ends.
    #[arg(long, hide = true)]
    pub far_end: bool,
}

/// Arguments of `doctor`.
#[derive(Clone, Debug, Default, PartialEq, Args)]
pub struct Doctor {
    /// Paired device to which every path is tried [default: check this machine as a whole]
    #[arg(value_name = "DEVICE")]
    pub device: Option<String>,
    /// Print a report that can be passed on: without secrets, names, full addresses and full ids
    #[arg(long)]
    pub report: bool,
}

/// Arguments of `serve`.
#[derive(Clone, Debug, Default, PartialEq, Args)]
pub struct Serve {
    /// Folder that receives files during this run [default: the setting `download_dir`]
    #[arg(long, value_name = "DIR")]
    pub download_dir: Option<PathBuf>,
    /// Treatment of offers during this run [default: the setting `accept`, which is `ask` at first]
    #[arg(long, value_enum)]
    pub accept: Option<Accept>,
    /// End when stdin ends, so that a killed parent process leaves no node behind.
    #[arg(long, hide = true)]
    pub until_stdin_ends: bool,
}

/// Subcommands of `keystore`.
#[derive(Debug, PartialEq, Subcommand)]
pub enum KeystoreStep {
    /// Move the secret to another place, or give its file a new passphrase
    ///
    /// If the secret is in the file already, `keystore move file` changes the passphrase.
    Move {
        /// Where the secret is kept from now on
        ///
        /// The new passphrase of `file` comes from YONDER_NEW_PASSPHRASE, or a prompt.
        #[arg(value_name = "KEYSTORE", value_enum)]
        to: KeystorePlace,
    },
    /// Encrypt all stored data under a new key; the identity stays the same
    Rotate,
    /// Write the identity and the pairings to a new file, encrypted under a passphrase
    ///
    /// The passphrase comes from YONDER_BACKUP_PASSPHRASE, or a prompt, and has at least 8 characters.
    Backup {
        /// File to write, which must not exist yet
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Restore the identity and the pairings from a backup
    ///
    /// The data directory must have no identity, unless it is this device's own and its secret is lost. --keystore
    /// chooses where the secret is kept. The passphrase of the backup comes from YONDER_BACKUP_PASSPHRASE, or a prompt.
    Restore {
        /// Backup to read
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

/// Keystore to which the secret can be moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum KeystorePlace {
    /// The system's keychain
    Keychain,
    /// A file that is encrypted under a passphrase
    File,
    /// A file without a passphrase, protected only by its permissions; for machines that start without a person
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
    /// Show a pairing code for five minutes, and wait for the other device
    Host {
        /// Number of words: 3 for devices on the same network, 5 for devices anywhere
        #[arg(long, value_name = "N", default_value = "3", value_parser = word_count)]
        words: u8,
        /// Approve the other device without asking, once it has proven the code
        #[arg(long)]
        approve: bool,
        /// Owner of the device: you, or somebody else [default: asked on a terminal, otherwise own]
        #[arg(long = "as", value_enum, value_name = "WHOSE")]
        level: Option<Whose>,
    },
    /// Enter the code that the other device shows
    Join {
        /// Three or five words, or a `yonder:` link; `-` reads it from stdin
        #[arg(value_name = "CODE", required_unless_present = "picture", num_args = 1..)]
        code: Vec<String>,
        /// Read the link from an image of the QR code: PNG, JPEG, GIF, WebP or BMP, at most 32 MiB
        #[arg(long, value_name = "FILE", conflicts_with_all = ["code", "device"])]
        picture: Option<PathBuf>,
        /// Device that shows the code, as a nearby device or ENDPOINT_ID@IP:PORT [default: searched for on the network]
        #[arg(long, value_name = "DEVICE")]
        device: Option<String>,
        /// Approve the other device without asking, once it has proven the code
        #[arg(long)]
        approve: bool,
        /// Owner of the device: you, or somebody else [default: asked on a terminal, otherwise own]
        #[arg(long = "as", value_enum, value_name = "WHOSE")]
        level: Option<Whose>,
    },
}

/// Arguments of `trust`.
#[derive(Debug, PartialEq, Args)]
pub struct Trust {
    /// Name or id of a paired device, or a unique prefix of one
    #[arg(value_name = "DEVICE")]
    pub device: String,
    /// Owner of the device: you, or somebody else
    ///
    /// The setting `accept` with the value `paired` accepts offers of your own devices only. You are asked about offers
    /// of somebody else's device, unless --accept always is set for it.
    #[arg(long = "as", value_enum, value_name = "WHOSE")]
    pub level: Option<Whose>,
    /// Rule for its offers
    #[arg(long, value_enum)]
    pub accept: Option<Accepts>,
    /// With --accept always: bytes a day, such as 500M or 2G, beyond which you are asked [default: no limit]
    #[arg(long, value_name = "SIZE", value_parser = text::parse_rate)]
    pub up_to: Option<u64>,
    /// With --accept always: existing folder that receives its files [default: the download folder]
    #[arg(long, value_name = "DIR")]
    pub into: Option<PathBuf>,
}

/// Owner of a paired device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Whose {
    /// Your own device
    Own,
    /// Somebody else's device
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

/// Rule for the offers of one device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Accepts {
    /// Offers are handled by the setting `accept`
    Default,
    /// You are asked about each offer
    Ask,
    /// Offers are accepted without asking you
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

/// Arguments of `send`.
#[derive(Debug, PartialEq, Args)]
pub struct Send {
    /// Name or id of the paired device to send to, or a unique prefix of one
    #[arg(value_name = "DEVICE")]
    pub device: String,
    /// Files and folders; `-` is standard input
    #[arg(value_name = "PATH", required = true)]
    pub paths: Vec<PathBuf>,
    /// The name under which standard input, or the only PATH, arrives
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Send to this device as well; may be repeated
    #[arg(long, value_name = "DEVICE")]
    pub also: Vec<String>,
    /// Send nothing if anything would have to be left out, such as an unreadable file
    #[arg(long)]
    pub strict: bool,
    /// Do not compress; by default, data that compresses well is compressed on slow connections
    #[arg(long)]
    pub no_compress: bool,
    /// Protect the contents by TLS only; by default, they are also encrypted with separate keys beneath TLS
    #[arg(long)]
    pub no_encrypt: bool,
    /// Limit of this transfer in bytes a second, at least 1024, such as 500k, 2M or 1.5GB/s [default: off]
    #[arg(long, value_name = "RATE", value_parser = text::parse_limit)]
    pub limit: Option<u64>,
    /// Leave the transfer to the running node, which also waits for a device that is away
    ///
    /// The command does not wait for the end of the transfer; `transfers` shows its progress.
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
