//! Malformed arguments of requests and options, and requests that do not fit the present state.

use std::path::PathBuf;

use crate::api::Args;

/// Fault of a malformed argument. All have the code `invalid_input`, and a case of their own.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
    /// The text is not `ENDPOINT_ID@IP:PORT`.
    #[error("{0:?} is not the address of an endpoint")]
    EndpointAddress(String),
    /// Own servers are configured, but no relay, and the mode permits only relays.
    #[error("servers of one's own are given, but no relay, and nothing but relays may be used")]
    NoRelay,
    /// The local address cannot be bound to.
    #[error("{detail}")]
    BindAddress {
        /// Text of the library.
        detail: String,
    },
    /// The text is not the URL of a relay.
    #[error("{text:?} is not a relay's address: {detail}")]
    RelayUrl {
        /// The text.
        text: String,
        /// Text of the library.
        detail: String,
    },
    /// The URL of a relay is too long.
    #[error("a relay's address is too long")]
    RelayUrlLong,
    /// The URL is not that of a relay with TLS.
    #[error("{0:?} is not the address of a relay with TLS")]
    RelayTls(String),
    /// There are too many relays.
    #[error("{count} relays are too many")]
    RelayCount {
        /// Number of relays.
        count: u64,
        /// Maximum number of relays.
        most: u64,
    },
    /// The text cannot be a relay's token.
    #[error("this cannot be a relay's token")]
    RelayToken,
    /// The text is not the URL of a pkarr server.
    #[error("the pkarr server's URL is not valid: {detail}")]
    PkarrUrl {
        /// Text of the library.
        detail: String,
    },
    /// The URL of the pkarr server has parts that such a URL cannot have.
    #[error("the pkarr server's URL is not one of a web server's folder")]
    PkarrFolder,
    /// The text is not `HOST:PORT`.
    #[error("{0:?} is not a node of the DHT")]
    DhtNode(String),
    /// The file holds no certificates.
    #[error("{path}: {detail}")]
    Authority {
        /// Path of the file.
        path: PathBuf,
        /// Text of the library.
        detail: String,
    },
    /// The link names only a relay that this device does not ask.
    #[error("this link names nothing but a relay that this device does not ask")]
    LinkRelay,
    /// The link carries no code.
    #[error("this link tells where a device is, and carries no code")]
    LinkWithoutCode,
    /// A code cannot have this number of words.
    #[error("a pairing code cannot have {0} words")]
    CodeWords(u8),
    /// A device cannot be paired as blocked.
    #[error("a device cannot be paired and blocked")]
    PairedBlocked,
    /// The request to trust a device cannot block it.
    #[error("a device is blocked by a command of its own")]
    BlockedByTrust,
    /// The system names no home directory.
    #[error("there is no home directory to receive files in")]
    NoHome,
    /// The stored settings cannot be read.
    #[error("the settings cannot be read: {detail}")]
    SettingsUnreadable {
        /// Text of the library.
        detail: String,
    },
    /// There is no such setting.
    #[error("there is no setting {setting:?}")]
    SettingUnknown {
        /// Requested name.
        setting: String,
        /// Names of all settings.
        known: String,
    },
    /// The setting cannot have this value.
    #[error("{value:?} is not a value of {setting}")]
    SettingValue {
        /// Name of the setting.
        setting: String,
        /// Requested value.
        value: String,
        /// Values that are possible, as a clause after "Expected"; empty if unknown.
        expected: String,
    },
    /// The setting is a number within a range.
    #[error("{value:?} is not a value of {setting}")]
    SettingNumber {
        /// Name of the setting.
        setting: String,
        /// Requested value.
        value: String,
        /// Least value.
        least: u64,
        /// Greatest value.
        most: u64,
    },
    /// The rate limit is too low.
    #[error("{value:?} is not a value of limit")]
    SettingLimit {
        /// Requested value.
        value: String,
        /// Least limit in bytes a second.
        least: u64,
    },
    /// The token of the relays is not set like other settings.
    #[error("a token is a secret, and not set like this")]
    SettingToken,
    /// The text cannot be a device's name.
    #[error("this cannot be a device's name")]
    DeviceName {
        /// Maximum length in characters.
        most: u64,
    },
    /// The name reads as an id.
    #[error("{0:?} cannot be a device's name: it reads as an id")]
    DeviceNameId(String),
    /// The path is not UTF-8.
    #[error("{0}: the path is not UTF-8")]
    FolderNotText(PathBuf),
    /// The path of a folder is not absolute.
    #[error("{0}: the path is not absolute")]
    FolderRelative(PathBuf),
    /// The folder does not exist.
    #[error("{0}: there is no such folder")]
    FolderMissing(PathBuf),
    /// The path of a file is not absolute.
    #[error("{0} is not an absolute path")]
    PathRelative(PathBuf),
    /// The folder of a rule does not exist.
    #[error("{0} is not a folder")]
    RuleFolder(PathBuf),
    /// No rule may put files into this folder.
    #[error("no rule can put files into {path}: {why}")]
    RuleFolderRefused {
        /// Path of the folder.
        path: PathBuf,
        /// Reason, as a clause.
        why: String,
        /// Stable code of the reason.
        reason: &'static str,
    },
    /// This number of pings cannot be sent.
    #[error("{count} pings cannot be sent")]
    Pings {
        /// Requested number.
        count: u64,
        /// Maximum number.
        most: u64,
    },
}

impl InputError {
    /// Returns the stable case, which stands beside the code `invalid_input`.
    pub fn case(&self) -> &'static str {
        match self {
            Self::EndpointAddress(_) => "endpoint_address",
            Self::NoRelay => "no_relay",
            Self::BindAddress { .. } => "bind_address",
            Self::RelayUrl { .. } => "relay_url",
            Self::RelayUrlLong => "relay_url_long",
            Self::RelayTls(_) => "relay_tls",
            Self::RelayCount { .. } => "relay_count",
            Self::RelayToken => "relay_token",
            Self::PkarrUrl { .. } | Self::PkarrFolder => "pkarr_url",
            Self::DhtNode(_) => "dht_node",
            Self::Authority { .. } => "authority",
            Self::LinkRelay => "link_relay",
            Self::LinkWithoutCode => "link_without_code",
            Self::CodeWords(_) => "code_words",
            Self::PairedBlocked => "paired_blocked",
            Self::BlockedByTrust => "blocked_by_trust",
            Self::NoHome => "no_home",
            Self::SettingsUnreadable { .. } => "settings_unreadable",
            Self::SettingUnknown { .. } => "setting_unknown",
            Self::SettingValue { .. } => "setting_value",
            Self::SettingNumber { .. } => "setting_number",
            Self::SettingLimit { .. } => "setting_limit",
            Self::SettingToken => "setting_token",
            Self::DeviceName { .. } => "device_name",
            Self::DeviceNameId(_) => "device_name_id",
            Self::FolderNotText(_) => "folder_not_text",
            Self::FolderRelative(_) => "folder_relative",
            Self::FolderMissing(_) => "folder_missing",
            Self::PathRelative(_) => "path_relative",
            Self::RuleFolder(_) => "rule_folder",
            Self::RuleFolderRefused { .. } => "rule_folder_refused",
            Self::Pings { .. } => "pings",
        }
    }

    /// Returns what a person can do about it; empty if there is nothing.
    pub fn hint(&self) -> String {
        match self {
            Self::EndpointAddress(_) => "It is ENDPOINT_ID@IP:PORT.".into(),
            Self::NoRelay => "Give --relay, too.".into(),
            Self::BindAddress { .. } => "Check --bind.".into(),
            Self::RelayUrl { .. } | Self::RelayUrlLong | Self::RelayTls(_) => {
                "It looks like https://relay.example.org; several are separated by spaces.".into()
            }
            Self::RelayCount { most, .. } => format!("At most {most}."),
            Self::RelayToken => "1 to 512 letters, digits and signs of ASCII, without spaces.".into(),
            Self::PkarrUrl { .. } | Self::PkarrFolder => "It looks like https://pkarr.example.org/pkarr".into(),
            Self::DhtNode(_) => "It is HOST:PORT, with a name or an IPv4 address.".into(),
            Self::Authority { .. } => "It has to be a PEM file with certificates.".into(),
            Self::LinkRelay => "Relays of others need TLS and a public address. If it is your own, configure it here, \
                                too: `yonder-cli settings relays URL`."
                .into(),
            Self::LinkWithoutCode => {
                "On the other device choose to pair, and use the link or words that it shows.".into()
            }
            Self::CodeWords(_) => "Three on one network, five across the internet.".into(),
            Self::PairedBlocked => "Pair it as one of your own, or as somebody else's, or reject it.".into(),
            Self::BlockedByTrust => "`yonder-cli block DEVICE`".into(),
            Self::NoHome => {
                "Set HOME, or choose a folder: `serve --download-dir DIR`, or `settings download_dir DIR`.".into()
            }
            Self::SettingsUnreadable { .. } => "A newer version of Yonder may have written them. Update Yonder.".into(),
            Self::SettingUnknown { known, .. } => format!("There are: {known}."),
            Self::SettingValue { expected, .. } if expected.is_empty() => String::new(),
            Self::SettingValue { expected, .. } => format!("Expected {expected}."),
            Self::SettingNumber { least, most, .. } => format!("A number from {least} to {most}."),
            Self::SettingLimit { least, .. } => format!("Bytes a second, at least {least}; 0 for no limit."),
            Self::SettingToken => "`yonder-cli settings relay_token -` asks for it, or reads it from its input.".into(),
            Self::DeviceName { most } => format!("1 to {most} characters, all of which are seen."),
            Self::DeviceNameId(_) => {
                "Add a word to it: other devices do not take a name that could be the beginning of an id.".into()
            }
            Self::FolderNotText(_) | Self::FolderRelative(_) | Self::FolderMissing(_) => {
                "Give the absolute path of a folder that exists.".into()
            }
            Self::PathRelative(_) => "Give a path that begins at the root.".into(),
            Self::RuleFolder(_) => "Give the whole path of a folder that is there.".into(),
            Self::RuleFolderRefused { .. } => "Choose a folder that holds nothing but what you receive.".into(),
            Self::Pings { most, .. } => format!("1 to {most}."),
        }
    }

    /// Returns the arguments, with the case among them.
    pub fn args(&self) -> Args {
        let args = Args::new().with("case", self.case());
        match self {
            Self::EndpointAddress(text) | Self::DhtNode(text) | Self::RelayTls(text) => args.with("text", text),
            Self::BindAddress { detail } | Self::PkarrUrl { detail } | Self::SettingsUnreadable { detail } => {
                args.with("detail", detail)
            }
            Self::RelayUrl { text, detail } => args.with("text", text).with("detail", detail),
            Self::RelayCount { count, most } | Self::Pings { count, most } => {
                args.number("count", *count).number("most", *most)
            }
            Self::Authority { path, detail } => args.with("path", path.display()).with("detail", detail),
            Self::CodeWords(count) => args.number("count", (*count).into()),
            Self::SettingUnknown { setting, known } => args.with("setting", setting).with("known", known),
            Self::SettingValue { setting, value, .. } => args.with("setting", setting).with("value", value),
            Self::SettingNumber { setting, value, least, most } => {
                args.with("setting", setting).with("value", value).number("least", *least).number("most", *most)
            }
            Self::SettingLimit { value, least } => args.with("value", value).number("least", *least),
            Self::DeviceName { most } => args.number("most", *most),
            Self::DeviceNameId(name) => args.with("name", name),
            Self::FolderNotText(path)
            | Self::FolderRelative(path)
            | Self::FolderMissing(path)
            | Self::PathRelative(path)
            | Self::RuleFolder(path) => args.with("path", path.display()),
            Self::RuleFolderRefused { path, reason, .. } => args.with("path", path.display()).with("reason", reason),
            Self::NoRelay
            | Self::RelayUrlLong
            | Self::RelayToken
            | Self::PkarrFolder
            | Self::LinkRelay
            | Self::LinkWithoutCode
            | Self::PairedBlocked
            | Self::BlockedByTrust
            | Self::NoHome
            | Self::SettingToken => args,
        }
    }
}

/// Request that is not possible in the present state. All have the code `invalid_state`, and a case of their own.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// A protocol of this name is registered.
    #[error("the protocol {0} is registered already")]
    ProtocolTaken(String),
    /// Protocols cannot be registered once the network has started.
    #[error("protocols are registered before the network starts")]
    ProtocolLate,
    /// Sources of discovery cannot be registered once the network has started.
    #[error("sources are registered before the network starts")]
    SourceLate,
    /// No pairing waits for an answer.
    #[error("no pairing waits for an answer")]
    NoPairing,
    /// Another pairing than the confirmed one waits for an answer.
    #[error("another pairing waits for an answer")]
    OtherPairing,
    /// The node has started already.
    #[error("this node is on the network already")]
    Started,
    /// The node has not started yet.
    #[error("this device is not on the network yet")]
    NotStarted,
}

impl StateError {
    /// Returns the stable case, which stands beside the code `invalid_state`.
    pub fn case(&self) -> &'static str {
        match self {
            Self::ProtocolTaken(_) => "protocol_taken",
            Self::ProtocolLate => "protocol_late",
            Self::SourceLate => "source_late",
            Self::NoPairing => "no_pairing",
            Self::OtherPairing => "other_pairing",
            Self::Started => "started",
            Self::NotStarted => "not_started",
        }
    }

    /// Returns the arguments, with the case among them.
    pub fn args(&self) -> Args {
        let args = Args::new().with("case", self.case());
        match self {
            Self::ProtocolTaken(protocol) => args.with("protocol", protocol),
            Self::ProtocolLate
            | Self::SourceLate
            | Self::NoPairing
            | Self::OtherPairing
            | Self::Started
            | Self::NotStarted => args,
        }
    }
}

/// Reason for which the other side refused. All have the code `refused`, and a case of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unwilling {
    /// It shows no pairing code.
    NotPairing,
    /// It is busy with other devices.
    Busy,
}

impl Unwilling {
    /// Returns the stable case, which stands beside the code `refused`.
    pub fn case(self) -> &'static str {
        match self {
            Self::NotPairing => "not_pairing",
            Self::Busy => "busy",
        }
    }

    pub(super) fn clause(self) -> &'static str {
        match self {
            Self::NotPairing => "shows no pairing code now",
            Self::Busy => "is busy with other devices",
        }
    }
}
