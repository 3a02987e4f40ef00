//! Every error that can leave the core, with its code and arguments. The page's tests read the list and put it into words.

use std::{collections::BTreeMap, fmt::Write as _, io, path::PathBuf, sync::Arc};

use crate::{
    api::{ApiError, CheckView, KeystoreView},
    control::ControlError,
    device::{DeviceError, DeviceRecordError},
    discovery::DiscoveryError,
    error::{InputError, NetworkError, StateError, Unwilling, examples::examples},
    identity::{BackupError, IdentityError},
    messaging::TextError,
    net::RelayError,
    pairing::{NoRendezvousReason, PairingError, picture::PictureError},
    service::doctor::DoctorError,
    storage::StorageError,
    transfer::{self, Reason},
};

fn text() -> String {
    "Maria’s laptop".into()
}

fn path() -> PathBuf {
    "/home/ann/file".into()
}

fn denied() -> io::Error {
    io::ErrorKind::PermissionDenied.into()
}

fn of_input() -> Vec<NetworkError> {
    use InputError as E;
    let detail = || "text of a library".to_owned();
    let all = examples! { InputError:
        E::EndpointAddress(_) => E::EndpointAddress(text());
        E::NoRelay => E::NoRelay;
        E::BindAddress { .. } => E::BindAddress { detail: detail() };
        E::RelayUrl { .. } => E::RelayUrl { text: text(), detail: detail() };
        E::RelayUrlLong => E::RelayUrlLong;
        E::RelayTls(_) => E::RelayTls(text());
        E::RelayCount { .. } => E::RelayCount { count: 9, most: 8 };
        E::RelayToken => E::RelayToken;
        E::PkarrUrl { .. } => E::PkarrUrl { detail: detail() };
        E::PkarrFolder => E::PkarrFolder;
        E::DhtNode(_) => E::DhtNode(text());
        E::Authority { .. } => E::Authority { path: path(), detail: detail() };
        E::LinkRelay => E::LinkRelay;
        E::LinkWithoutCode => E::LinkWithoutCode;
        E::CodeWords(_) => E::CodeWords(4);
        E::PairedBlocked => E::PairedBlocked;
        E::BlockedByTrust => E::BlockedByTrust;
        E::NoHome => E::NoHome;
        E::SettingsUnreadable { .. } => E::SettingsUnreadable { detail: detail() };
        E::SettingUnknown { .. } => E::SettingUnknown { setting: "nam".into(), known: "name, relays".into() };
        E::SettingValue { .. } => E::SettingValue { setting: "dht".into(), value: "x".into(), expected: "`on`".into() };
        E::SettingNumber { .. } => E::SettingNumber {
            setting: "parallel".into(), value: "x".into(), least: 1, most: 16,
        };
        E::SettingLimit { .. } => E::SettingLimit { value: "3".into(), least: 1024 };
        E::SettingToken => E::SettingToken;
        E::DeviceName { .. } => E::DeviceName { most: 64 };
        E::DeviceNameId(_) => E::DeviceNameId("deadbeef".into());
        E::FolderNotText(_) => E::FolderNotText(path());
        E::FolderRelative(_) => E::FolderRelative(path());
        E::FolderMissing(_) => E::FolderMissing(path());
        E::PathRelative(_) => E::PathRelative(path());
        E::RuleFolder(_) => E::RuleFolder(path());
        E::RuleFolderRefused { .. } => E::RuleFolderRefused {
            path: path(), why: "it holds the whole home folder".into(), reason: "holds_home",
        };
        E::Pings { .. } => E::Pings { count: 5000, most: 1000 };
    };
    all.into_iter().map(Into::into).collect()
}

fn of_network() -> Vec<NetworkError> {
    use NetworkError as E;
    let all = examples! { NetworkError:
        E::ConnectionFailed { .. } => E::ConnectionFailed { device: text(), source: "text of a library".into() };
        E::ConnectionTimeout { .. } => E::ConnectionTimeout { device: Some(text()), seconds: 30 };
        E::ConnectionLost(_) => E::ConnectionLost(Box::new(io::Error::from(io::ErrorKind::ConnectionReset)));
        E::UnknownProtocol(_) => E::UnknownProtocol("chess/1.0".into());
        E::ProtocolViolation(_) => E::ProtocolViolation("a weak key was offered".into());
        E::InvalidSignature => E::InvalidSignature;
        E::DecryptionFailed => E::DecryptionFailed;
        E::DeviceNotPaired(_) => E::DeviceNotPaired(text());
        E::DeviceUnknown(_) => E::DeviceUnknown(text());
        E::DeviceAmbiguous(_) => E::DeviceAmbiguous(text());
        E::DeviceOffline(_) => E::DeviceOffline(text());
        E::ChecksumMismatch(_) => E::ChecksumMismatch("a/b".into());
        E::Refused { .. } => E::Refused { device: text(), why: Unwilling::Busy };
        E::RefusedNotPaired => E::RefusedNotPaired;
        E::InvalidState(_) => E::InvalidState(StateError::NoPairing);
        E::InvalidInput(_) => E::InvalidInput(InputError::NoHome);
        E::SettingOverridden { .. } => E::SettingOverridden { setting: "dht".into(), option: "--dht".into() };
        E::File { .. } => E::File { path: path(), source: denied() };
        E::PortUnavailable { .. } => E::PortUnavailable { port: 80, source: Box::new(denied()) };
        E::ShuttingDown => E::ShuttingDown;
        E::Internal(_) => E::Internal("a task ended in a panic".into());
        E::Room(_) => TextError::Empty.into();
    };
    let states = examples! { StateError:
        StateError::ProtocolTaken(_) => StateError::ProtocolTaken("chess/1.0".into());
        StateError::ProtocolLate => StateError::ProtocolLate;
        StateError::SourceLate => StateError::SourceLate;
        StateError::NoPairing => StateError::NoPairing;
        StateError::OtherPairing => StateError::OtherPairing;
        StateError::Started => StateError::Started;
        StateError::NotStarted => StateError::NotStarted;
    };
    let more =
        [E::Refused { device: text(), why: Unwilling::NotPairing }, E::ConnectionTimeout { device: None, seconds: 30 }];
    all.into_iter().chain(states.into_iter().map(Into::into)).chain(more).collect()
}

fn of_identity() -> Vec<NetworkError> {
    use IdentityError as E;
    let (file, keychain) = (KeystoreView::File, KeystoreView::Keychain);
    let all = examples! { IdentityError:
        E::NotADirectory(_) => E::NotADirectory(path());
        E::NotWritable { .. } => E::NotWritable { path: path(), source: denied() };
        E::Foreign { .. } => E::Foreign { path: path(), source: denied() };
        E::Full(_) => E::Full(path());
        E::Newer { .. } => E::Newer { path: path(), found: 9, known: 1 };
        E::AlreadyRunning(_) => E::AlreadyRunning(path());
        E::RecordBroken { .. } => E::RecordBroken { path: path(), reason: "line 1".into() };
        E::RecordMissing(_) => E::RecordMissing(path());
        E::KeystoreUnavailable(_) => E::KeystoreUnavailable("no such service".into());
        E::KeystoreLocked(_) => E::KeystoreLocked("a prompt was dismissed".into());
        E::KeystoreEntryGone(_) => E::KeystoreEntryGone(file);
        E::KeystoreBroken { .. } => E::KeystoreBroken { keystore: keychain, reason: "no such service".into() };
        E::KeystoreChanged(_) => E::KeystoreChanged(keychain);
        E::KeystoreMismatch { .. } => E::KeystoreMismatch { recorded: keychain, asked: KeystoreView::Plain };
        E::KeystoreBusy(_) => E::KeystoreBusy(path());
        E::NoIdentity(_) => E::NoIdentity(path());
        E::Exists(_) => E::Exists(path());
        E::RestoreUnfinished(_) => E::RestoreUnfinished(path());
        E::PassphraseNeeded => E::PassphraseNeeded;
        E::NewPassphraseNeeded => E::NewPassphraseNeeded;
        E::PassphraseEmpty => E::PassphraseEmpty;
        E::PassphraseWrong => E::PassphraseWrong;
        E::Io { .. } => E::Io { path: path(), source: denied() };
        E::Random => E::Random;
    };
    all.into_iter().map(Into::into).collect()
}

fn of_backups_and_storage() -> Vec<NetworkError> {
    use BackupError as B;
    use StorageError as S;
    let backups = examples! { BackupError:
        B::Exists(_) => B::Exists(path());
        B::NoFolder(_) => B::NoFolder(path());
        B::NotAFile(_) => B::NotAFile(path());
        B::NotWritable { .. } => B::NotWritable { path: path(), source: denied() };
        B::Full(_) => B::Full(path());
        B::Missing(_) => B::Missing(path());
        B::Unreadable { .. } => B::Unreadable { path: path(), source: denied() };
        B::NotOne => B::NotOne;
        B::Cut => B::Cut;
        B::Damaged(_) => B::Damaged("a row".into());
        B::Newer { .. } => B::Newer { found: 9, known: 1 };
        B::PassphraseWrong => B::PassphraseWrong;
        B::PassphraseWeak => B::PassphraseWeak;
        B::TooLarge => B::TooLarge;
        B::Random => B::Random;
    };
    let storage = examples! { StorageError:
        S::AlreadyRunning => S::AlreadyRunning;
        S::Newer { .. } => S::Newer { found: 9, known: 1 };
        S::Corrupt { .. } => S::Corrupt { path: path(), reason: "page 3".into() };
        S::WrongKey => S::WrongKey;
        S::ValueBroken { .. } => S::ValueBroken { table: "devices" };
        S::SnapshotBroken => S::SnapshotBroken;
        S::Full => S::Full;
        S::NotWritable { .. } => S::NotWritable { path: path(), source: Arc::new(denied()) };
        S::Io(_) => S::Io(Arc::new(denied()));
        S::TooLarge => S::TooLarge;
        S::Closed => S::Closed;
        S::Random => S::Random;
        S::Latched => S::Latched;
    };
    backups.into_iter().map(NetworkError::from).chain(storage.into_iter().map(Into::into)).collect()
}

fn of_pairing() -> Vec<NetworkError> {
    use PairingError as E;
    let word = |suggestions: &[&str]| E::WordUnknown {
        word: "brabe".into(),
        position: 2,
        suggestions: suggestions.iter().map(ToString::to_string).collect(),
    };
    let all = examples! { PairingError:
        E::WordUnknown { .. } => word(&["brave", "bravo"]);
        E::WordCount { .. } => E::WordCount { found: 4 };
        E::LinkInvalid { .. } => E::LinkInvalid { reason: "it is too long" };
        E::AddressInvalid { .. } => E::AddressInvalid { reason: "the @ is missing" };
        E::CodeExpired => E::CodeExpired;
        E::CodeWrong => E::CodeWrong;
        E::CodeBurnt => E::CodeBurnt;
        E::CodeUsed => E::CodeUsed;
        E::NotOpen => E::NotOpen;
        E::Busy => E::Busy;
        E::RejectedHere => E::RejectedHere;
        E::RejectedThere => E::RejectedThere;
        E::Timeout { .. } => E::Timeout { waited_for: "nobody approved" };
        E::IdentityMismatch => E::IdentityMismatch;
        E::SameDevice => E::SameDevice;
        E::Version => E::Version;
        E::Violation(_) => E::Violation("a message is empty");
        E::ConnectionLost => E::ConnectionLost;
        E::Unfinished => E::Unfinished;
        E::NotStored => E::NotStored;
        E::NoHostFound => E::NoHostFound;
        E::NoHostAnywhere { .. } => E::NoHostAnywhere { clock_off: Some(14) };
        E::TooManyHosts => E::TooManyHosts;
        E::RendezvousUnreachable => E::RendezvousUnreachable;
        E::NoRendezvous { .. } => E::NoRendezvous { reason: NoRendezvousReason::LanMode };
        E::Cancelled => E::Cancelled;
        E::NoRandomness => E::NoRandomness;
    };
    let more = [
        word(&[]),
        E::NoHostAnywhere { clock_off: None },
        E::NoRendezvous { reason: NoRendezvousReason::NoRelay },
        E::NoRendezvous { reason: NoRendezvousReason::NoServer },
    ];
    let pictures = examples! { PictureError:
        PictureError::File { .. } => PictureError::File {
            name: "a.png".into(), reason: "denied".into(), os: Some("permission_denied"),
        };
        PictureError::Unreadable => PictureError::Unreadable;
        PictureError::TooLarge => PictureError::TooLarge;
        PictureError::NoCode => PictureError::NoCode;
        PictureError::OtherCode => PictureError::OtherCode;
        PictureError::SeveralCodes => PictureError::SeveralCodes;
        PictureError::Link(_) => PictureError::Link(E::CodeExpired);
    };
    all.into_iter().chain(more).map(NetworkError::from).chain(pictures.into_iter().map(Into::into)).collect()
}

fn of_others() -> Vec<NetworkError> {
    use ControlError as C;
    let control = examples! { ControlError:
        C::AlreadyRunning(_) => C::AlreadyRunning(path());
        C::Socket { .. } => C::Socket { path: path(), source: denied() };
        C::InTheWay(_) => C::InTheWay(path());
        C::NotPrivate(_) => C::NotPrivate(path());
        C::OtherUser => C::OtherUser;
        C::Version { .. } => C::Version { app: "1.2.3".into(), theirs: 2, ours: 1 };
        C::NoAnswer => C::NoAnswer;
        C::TurnedAway(_) => C::TurnedAway("too many commands".into());
        C::Lost => C::Lost;
        C::TooLarge { .. } => C::TooLarge { bytes: 2_000_000, limit: 1_000_000, names_paths: true };
        C::BadRequest(_) => C::BadRequest("line 1".into());
        C::NotText(_) => C::NotText("a path".into());
        C::BadAnswer(_) => C::BadAnswer("line 1".into());
    };
    let devices = examples! { DeviceError:
        DeviceError::Unknown(_) => DeviceError::Unknown(text());
        DeviceError::Ambiguous { .. } => DeviceError::Ambiguous { text: "de".into(), devices: "desk, den".into() };
        DeviceError::NotPaired(_) => DeviceError::NotPaired(text());
        DeviceError::Blocked(_) => DeviceError::Blocked(text());
        DeviceError::NotProposed(_) => DeviceError::NotProposed(text());
        DeviceError::NameTaken(_) => DeviceError::NameTaken(text());
        DeviceError::Record(DeviceRecordError::Newer(_) | DeviceRecordError::Damaged) => DeviceRecordError::Damaged.into();
        DeviceError::Storage(_) => StorageError::Full.into();
    };
    let texts = examples! { TextError:
        TextError::Empty => TextError::Empty;
        TextError::TooLong => TextError::TooLong;
        TextError::Control => TextError::Control;
        TextError::TooManyWait => TextError::TooManyWait;
        TextError::Damaged => TextError::Damaged;
        TextError::Storage(_) => StorageError::Full.into();
    };
    let url = || "https://relay.example/".parse::<crate::net::RelayUrl>().unwrap();
    let relays = examples! { RelayError:
        RelayError::Refused { .. } => RelayError::Refused { url: url(), with_token: true };
        RelayError::Unreachable { .. } => RelayError::Unreachable { url: url() };
    };
    let mut all: Vec<NetworkError> = control.into_iter().map(Into::into).collect();
    all.extend(devices.into_iter().map(NetworkError::from));
    all.extend(texts.into_iter().map(NetworkError::from));
    all.extend(relays.into_iter().map(NetworkError::from));
    all.push(RelayError::Refused { url: url(), with_token: false }.into());
    all.push(DiscoveryError("no interface".into()).into());
    all.push(DoctorError::Busy.into());
    all
}

/// Returns an example of every error that can leave the core.
fn all() -> Vec<ApiError> {
    let parts = [of_input(), of_network(), of_identity(), of_backups_and_storage(), of_pairing(), of_others()];
    let errors = parts.into_iter().flatten().chain(transfer::examples().into_iter().map(Into::into));
    let reasons = Reason::KNOWN.iter().cloned().map(ApiError::from);
    let notice =
        ApiError::new("unpaired_by_peer", "Maria has unpaired this device", "Pair anew.").with("device", text());
    errors.map(ApiError::from).chain(reasons).chain([notice]).collect()
}

/// Compares a file of the page with what it should hold, or writes it.
fn page_file(name: &str, now: &str) {
    let path = format!("{}/../../ui/test/{name}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("YONDER_BLESS").is_some() {
        std::fs::write(&path, now).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(kept, now, "run: YONDER_BLESS=1 cargo test -p yonder-core page_knows");
}

/// Writes a list as JSON, one object a line.
fn lines<T: serde::Serialize>(list: &[T]) -> String {
    let mut text = String::from("[\n");
    for (place, each) in list.iter().enumerate() {
        let comma = if place + 1 < list.len() { "," } else { "" };
        writeln!(text, "  {}{comma}", serde_json::to_string(each).unwrap()).unwrap();
    }
    text + "]\n"
}

#[test]
fn page_knows_every_error_and_its_arguments() {
    let all = all();
    page_file("errors.json", &lines(&all));

    let read = |name: &str| {
        std::fs::read_to_string(format!("{}/../../ui/src/i18n/de/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
    };
    let table = read("errors.ts") + &read("errors-input.ts");
    let mut names = BTreeMap::<&str, Vec<&str>>::new();
    for error in &all {
        let known = table.contains(&format!("\n  {}: {{", error.code)) || error.args.get("case").is_some();
        assert!(known, "the page has no German words for {}", error.code);
        if let Some(case) = error.args.get("case") {
            let (code, whole) = (&error.code, format!("{}.{case}", error.code));
            let known = table.contains(&format!("\n  '{whole}': {{")) || table.contains(&format!("\n  {code}: {{"));
            assert!(known, "the page has no German words for {whole}");
        }
        names.entry(&error.code).or_default().extend(error.args.iter().map(|(name, _)| name));
        assert!(error.args.iter().all(|(name, _)| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')));
    }
    let listed = std::fs::read_to_string(format!("{}/../../docs/cli.md", env!("CARGO_MANIFEST_DIR"))).unwrap();
    for (code, names) in names {
        for name in names {
            assert!(listed.contains(&format!("`{name}`")), "docs/cli.md does not name the argument {name} of {code}");
        }
    }
}

#[test]
fn no_argument_is_a_sentence_of_the_core() {
    for error in all() {
        for (name, value) in error.args.iter().filter(|(name, _)| *name != "detail") {
            assert_ne!(value.to_string(), error.message, "{}: {name}", error.code);
        }
        // A path is not repeated inside what the system said.
        if error.args.get("os").is_some() {
            assert!(error.args.get("detail").is_none(), "{error}");
        }
    }
}

#[test]
fn page_knows_every_check_with_details() {
    let checks: Vec<CheckView> = crate::diagnostics::checks::examples::examples();
    page_file("checks.json", &lines(&checks));
}
