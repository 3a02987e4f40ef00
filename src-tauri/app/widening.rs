//! Decides which requests the page may make, and which extend the permissions of other devices. Those need a
//! confirmation that the page cannot give, in a dialog of the shell. Pure.
//!
//! An attacker who runs a script in the page can call every command. Ordinary requests (sending a pick, answering an
//! offer, a text, a limit, unpairing) need only a click in the page, and so do requests that reduce permissions.

use yonder_core::{
    api::{
        AcceptRule, ApiError, ConflictRule, DeviceAccept, DeviceRequest, DeviceRule, DeviceView, DiagnosticsRequest,
        Grant, KeystoreRequest, KeystoreView, MessageRequest, NodeRequest, PairingRequest, Request, Settings,
        SettingsRequest, TransferRequest, TrustLevel,
    },
    device::offers,
};

use crate::commands::error;

/// Handling of a request from the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Allowed.
    Free,
    /// Refused: it names a path, or the shell has a request for it.
    Refused,
    /// Needs the user's confirmation if it extends permissions in the present state, which [`question`] decides.
    MayWiden,
}

/// A question to the user in a dialog of the shell.
#[derive(Clone, Debug, PartialEq)]
pub enum Question {
    /// Pair, and whose device is it?
    Pair {
        /// Name that the device claims.
        name: String,
        /// Name that the device will have here.
        called: String,
        /// Words that both screens must show.
        check_words: String,
        /// Handling of its offers if it is the user's own.
        own: Grant,
        /// Handling of its offers if it is somebody else's.
        other: Grant,
    },
    /// Treat somebody else's device as one's own?
    Own {
        /// Name of the device on this side.
        name: String,
        /// Handling of its offers afterwards.
        then: Grant,
    },
    /// Accept offers of a device without a question?
    Rule {
        /// Name of the device on this side.
        name: String,
        /// Handling of its offers afterwards.
        then: Grant,
    },
    /// Unblock a device?
    Unblock {
        /// Name of the device on this side.
        name: String,
    },
    /// Move the root secret, or change its passphrase?
    Keystore {
        /// New keystore.
        to: KeystoreView,
    },
    /// Ask about offers that are declined now?
    AcceptAsk,
    /// Accept offers of the user's own devices without a question?
    AcceptOwn,
    /// Replace files whose names exist already?
    Replace,
    /// Use these relays?
    Relays {
        /// URLs of the relays.
        urls: Vec<String>,
    },
}

/// Classifies a request. Every request is listed, so that a new one cannot be forgotten.
pub fn class(request: &Request) -> Class {
    match request {
        Request::Node(NodeRequest::Snapshot | NodeRequest::Identity | NodeRequest::Devices) => Class::Free,
        Request::Pairing(request) => pairing(request),
        Request::Device(request) => one_device(request),
        Request::Keystore(request) => keystore(request),
        Request::Settings(request) => setting(request),
        Request::Transfer(request) => transfer(request),
        Request::Message(
            MessageRequest::SendText { .. } | MessageRequest::Messages { .. } | MessageRequest::MessagesSeen { .. },
        )
        | Request::Diagnostics(DiagnosticsRequest::Ping { .. } | DiagnosticsRequest::Doctor { .. }) => Class::Free,
    }
}

fn pairing(request: &PairingRequest) -> Class {
    match request {
        // The user approves in a dialog of the shell.
        PairingRequest::PairHost { approve: true, .. }
        | PairingRequest::PairJoin { approve: true, .. }
        | PairingRequest::PairAnswer { approve: true, .. } => Class::Refused,
        PairingRequest::PairHost { approve: false, .. }
        | PairingRequest::PairJoin { approve: false, .. }
        | PairingRequest::PairAnswer { approve: false, .. }
        | PairingRequest::PairCancel
        | PairingRequest::CompleteWord { .. } => Class::Free,
    }
}

fn one_device(request: &DeviceRequest) -> Class {
    match request {
        // It names a path, which may only come from a dialog or a drop.
        DeviceRequest::Trust { into: Some(_), .. }
        // The rule's folder would be lost, and the page cannot restore it. The shell sets such rules.
        | DeviceRequest::Trust { accept: Some(DeviceAccept::Always), .. } => Class::Refused,
        DeviceRequest::Trust { .. } | DeviceRequest::Unblock { .. } => Class::MayWiden,
        DeviceRequest::Unpair { .. }
        | DeviceRequest::Block { .. }
        | DeviceRequest::TakeName { .. }
        | DeviceRequest::RotateSecret { .. }
        | DeviceRequest::Rename { .. } => Class::Free,
    }
}

fn keystore(request: &KeystoreRequest) -> Class {
    match request {
        // It names a path.
        KeystoreRequest::KeystoreBackup { .. } => Class::Refused,
        KeystoreRequest::KeystoreMove { .. } => Class::MayWiden,
        KeystoreRequest::Keystore | KeystoreRequest::KeystoreRotate => Class::Free,
    }
}

fn setting(request: &SettingsRequest) -> Class {
    match request {
        SettingsRequest::SetSetting { key, .. } => match key.as_str() {
            "accept" | "conflict" | "relays" => Class::MayWiden,
            "name" | "type" | "discoverable" | "limit" | "parallel" | "dht" | "relay_choice" | "relay_token" => {
                Class::Free
            }
            // The folder is chosen in a dialog. An unknown setting is refused until somebody has classified it.
            _ => Class::Refused,
        },
        SettingsRequest::Settings | SettingsRequest::SetRelayToken { .. } | SettingsRequest::Relays { .. } => {
            Class::Free
        }
    }
}

fn transfer(request: &TransferRequest) -> Class {
    match request {
        // They name a path.
        TransferRequest::Send { .. }
        | TransferRequest::Survey { .. }
        | TransferRequest::Accept { into: Some(_), .. } => Class::Refused,
        TransferRequest::Transfers { .. }
        | TransferRequest::Transfer { .. }
        | TransferRequest::Accept { into: None, .. }
        | TransferRequest::OfferEntries { .. }
        | TransferRequest::Decline { .. }
        | TransferRequest::Cancel { .. }
        | TransferRequest::Pause { .. }
        | TransferRequest::Resume { .. }
        | TransferRequest::Retry { .. }
        | TransferRequest::Reorder { .. }
        | TransferRequest::Limit { .. }
        | TransferRequest::Forget { .. } => Class::Free,
    }
}

/// Returns the question for a request that may extend permissions; `None` if it does not in the present state.
///
/// # Errors
/// When it names its device by anything but the complete id: the user and the core must mean the same device.
pub fn question(request: &Request, settings: &Settings, devices: &[DeviceView]) -> Result<Option<Question>, ApiError> {
    Ok(match request {
        Request::Device(DeviceRequest::Trust { device, level, accept, .. }) => {
            let device = by_id(devices, device)?;
            let to_own = *level == Some(TrustLevel::Own) && device.trust != TrustLevel::Own;
            let level = level.unwrap_or(device.trust);
            let rule =
                accept.map_or_else(|| device.rule.clone(), |accept| DeviceRule { accept, ..DeviceRule::default() });
            let then = allowed(&rule, level, settings);
            let name = device.name.clone();
            match then {
                then if to_own => Some(Question::Own { name, then }),
                then if rank(&then) > rank(&allowed(&device.rule, device.trust, settings)) => {
                    Some(Question::Rule { name, then })
                }
                _ => None,
            }
        }
        Request::Device(DeviceRequest::Unblock { device }) => {
            let device = by_id(devices, device)?;
            (device.trust == TrustLevel::Blocked).then(|| Question::Unblock { name: device.name.clone() })
        }
        Request::Keystore(KeystoreRequest::KeystoreMove { to, .. }) => Some(Question::Keystore { to: *to }),
        Request::Settings(SettingsRequest::SetSetting { key, value }) => {
            // Normalized as in the core.
            let word = value.trim().to_lowercase();
            match (key.as_str(), word.as_str()) {
                ("accept", "paired") if settings.accept != AcceptRule::Paired => Some(Question::AcceptOwn),
                ("accept", "ask") if settings.accept == AcceptRule::None => Some(Question::AcceptAsk),
                ("conflict", "replace") if settings.conflict != ConflictRule::Replace => Some(Question::Replace),
                ("relays", _) => {
                    let urls: Vec<String> = value.split_whitespace().map(str::to_owned).collect();
                    let news = urls.iter().any(|url| !settings.relays.contains(url));
                    news.then_some(Question::Relays { urls })
                }
                _ => None,
            }
        }
        _ => None,
    })
}

/// Returns the question for a rule that the shell sets; `None` if it accepts no more than the present rule.
pub fn rule_question(device: &DeviceView, rule: &DeviceRule, settings: &Settings) -> Option<Question> {
    let then = allowed(rule, device.trust, settings);
    let widens = rank(&then) > rank(&allowed(&device.rule, device.trust, settings));
    widens.then(|| Question::Rule { name: device.name.clone(), then })
}

/// Returns the paired device with this complete id.
///
/// # Errors
/// When there is none.
pub fn by_id<'a>(devices: &'a [DeviceView], id: &str) -> Result<&'a DeviceView, ApiError> {
    let found = devices.iter().find(|device| device.paired && device.device_id.to_string() == id);
    found.ok_or_else(|| error("device_unknown", "no paired device has this id", "Name the device by its whole id."))
}

/// Returns the handling of a device's offers. If the setting declines all now, it assumes the setting to ask, because
/// the setting may change later without a question about this device.
fn allowed(rule: &DeviceRule, level: TrustLevel, settings: &Settings) -> Grant {
    let setting = if settings.accept == AcceptRule::None { AcceptRule::Ask } else { settings.accept };
    offers(rule, level, setting)
}

/// Ranks how much a permission allows.
fn rank(grant: &Grant) -> (u8, u64) {
    match grant {
        Grant::OffersAccepted { up_to, .. } => (2, up_to.unwrap_or(u64::MAX)),
        Grant::OffersAsked => (1, 0),
        Grant::OffersDeclined | Grant::Presence | Grant::Texts => (0, 0),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use yonder_core::{
        api::{SecretText, TransferOptions},
        id::TransferId,
    };
    use zeroize::Zeroizing;

    use super::*;

    const ID: &str = "0a1b2c3d-4e5f-8a6b-9c7d-000000000001";

    fn device(trust: &str, accept: &str, up_to: Option<u64>) -> DeviceView {
        serde_json::from_value(json!({
            "device_id": ID, "name": "Desk", "paired": true, "endpoint_id": "ab".repeat(32), "type": "laptop",
            "state": "offline", "pairing": false, "nearby": true, "path": null, "rtt_ms": null, "address": null,
            "trust": trust, "rule": { "accept": accept, "up_to": up_to, "into": null }, "key_exchange": null,
            "connections": [], "secret_since": null, "paired_at": null, "last_seen": null,
        }))
        .unwrap()
    }

    fn settings(accept: &str) -> Settings {
        serde_json::from_value(json!({
            "name": "Here", "type": "laptop", "download_dir": "/d", "accept": accept, "discoverable": "everyone",
            "relays": ["https://mine.example/"],
        }))
        .unwrap()
    }

    fn trust(level: Option<TrustLevel>, accept: Option<DeviceAccept>) -> Request {
        DeviceRequest::Trust { device: ID.into(), level, accept, up_to: None, into: None }.into()
    }

    fn set(key: &str, value: &str) -> Request {
        SettingsRequest::SetSetting { key: key.into(), value: value.into() }.into()
    }

    #[test]
    fn the_page_may_not_name_paths_and_not_approve() {
        let id = TransferId::from_random([7; 16]);
        let conflict = ConflictRule::default();
        let secret = || SecretText::new(Zeroizing::new("x".into()));
        let options = TransferOptions::default();
        let send =
            TransferRequest::Send { device: "x".into(), paths: vec!["/etc/passwd".into()], given: Vec::new(), options };
        let refused: [Request; 12] = [
            send.into(),
            TransferRequest::Survey { paths: vec!["/etc".into()] }.into(),
            TransferRequest::Accept { id, into: Some("/etc".into()), conflict, only: None }.into(),
            TransferRequest::Accept { id, into: Some("/etc".into()), conflict, only: Some(vec![1]) }.into(),
            DeviceRequest::Trust {
                device: ID.into(),
                level: None,
                accept: None,
                up_to: None,
                into: Some("/etc".into()),
            }
            .into(),
            trust(None, Some(DeviceAccept::Always)),
            KeystoreRequest::KeystoreBackup { path: "/etc/x".into(), backup_passphrase: secret(), passphrase: None }
                .into(),
            PairingRequest::PairHost { approve: true, level: None, words: 3 }.into(),
            PairingRequest::PairJoin { code: "a-b-c".into(), device: None, approve: true, level: None }.into(),
            PairingRequest::PairAnswer { approve: true, level: None, check_words: None }.into(),
            set("download_dir", "/etc"),
            set("a setting of the future", "x"),
        ];
        for request in refused {
            assert_eq!(class(&request), Class::Refused, "{request:?}");
        }
        let free: [Request; 8] = [
            TransferRequest::Accept { id, into: None, conflict, only: Some(vec![1, 2]) }.into(),
            TransferRequest::Retry { id }.into(),
            PairingRequest::PairHost { approve: false, level: None, words: 3 }.into(),
            PairingRequest::PairAnswer { approve: false, level: None, check_words: None }.into(),
            DeviceRequest::Block { device: ID.into() }.into(),
            DeviceRequest::Unpair { device: ID.into() }.into(),
            set("limit", "0"),
            NodeRequest::Snapshot.into(),
        ];
        for request in free {
            assert_eq!(class(&request), Class::Free, "{request:?}");
        }
    }

    #[test]
    fn what_widens_trust_is_asked_about() {
        use AcceptRule::Paired;
        let asked = |request: Request, accept: &str, device: DeviceView| {
            assert_eq!(class(&request), Class::MayWiden, "{request:?}");
            question(&request, &settings(accept), &[device]).unwrap()
        };
        let (own, other) = (Some(TrustLevel::Own), Some(TrustLevel::Other));
        assert!(matches!(asked(trust(own, None), "ask", device("other", "default", None)), Some(Question::Own { .. })));
        assert!(matches!(asked(trust(own, None), "none", device("blocked", "ask", None)), Some(Question::Own { .. })));
        // From "ask me" back to a setting that accepts, and from a limit to none.
        for rule in [device("own", "ask", None), device("own", "always", Some(100))] {
            let rule = asked(trust(None, Some(DeviceAccept::Default)), "paired", rule);
            assert!(matches!(rule, Some(Question::Rule { then: Grant::OffersAccepted { up_to: None, .. }, .. })));
        }
        let blocked = device("blocked", "default", None);
        assert!(asked(DeviceRequest::Unblock { device: ID.into() }.into(), "ask", blocked).is_some());
        let to = KeystoreView::Plain;
        let moving = KeystoreRequest::KeystoreMove { to, passphrase: None, new_passphrase: None };
        assert_eq!(asked(moving.into(), "ask", device("own", "ask", None)), Some(Question::Keystore { to }));
        let any = || device("own", "default", None);
        assert_eq!(asked(set("accept", " Paired "), "ask", any()), Some(Question::AcceptOwn));
        assert_eq!(asked(set("accept", "ask"), "none", any()), Some(Question::AcceptAsk));
        assert_eq!(asked(set("conflict", "REPLACE"), "ask", any()), Some(Question::Replace));
        let relays = asked(set("relays", "https://mine.example/ http://127.0.0.1:1"), "ask", any());
        assert!(matches!(relays, Some(Question::Relays { urls }) if urls.len() == 2));

        // Requests that reduce permissions, or change nothing, need only a click in the page.
        for (request, accept) in [
            (trust(other, None), "paired"),
            (trust(own, None), "paired"),
            (trust(None, Some(DeviceAccept::Ask)), "paired"),
            (trust(None, Some(DeviceAccept::Default)), "paired"),
            (set("accept", "ask"), "paired"),
            (set("accept", "none"), "ask"),
            (set("accept", "paired"), "paired"),
            (set("conflict", "skip"), "ask"),
            (set("relays", ""), "ask"),
            (set("relays", "https://mine.example/"), "ask"),
            (DeviceRequest::Unblock { device: ID.into() }.into(), "ask"),
        ] {
            assert_eq!(asked(request.clone(), accept, any()), None, "{request:?}");
        }
        assert_eq!(settings("paired").accept, Paired);
        let by_name = DeviceRequest::Trust { device: "Desk".into(), level: own, accept: None, up_to: None, into: None };
        assert_eq!(question(&by_name.into(), &settings("ask"), &[any()]).unwrap_err().code, "device_unknown");
    }

    #[test]
    fn a_rule_that_accepts_more_is_asked_about() {
        let always = |up_to| DeviceRule { accept: DeviceAccept::Always, up_to, into: Some("/srv".into()) };
        for (before, rule, setting, asks) in [
            (device("other", "default", None), always(Some(100)), "ask", true),
            (device("other", "default", None), always(Some(100)), "none", true),
            (device("own", "default", None), always(None), "ask", true),
            (device("own", "always", Some(100)), always(Some(101)), "ask", true),
            (device("own", "always", Some(100)), always(None), "ask", true),
            (device("own", "always", Some(100)), always(Some(50)), "ask", false),
            (device("own", "always", None), always(Some(50)), "none", false),
            (device("own", "always", None), DeviceRule::default(), "ask", false),
            (device("own", "ask", None), DeviceRule::default(), "paired", true),
        ] {
            let question = rule_question(&before, &rule, &settings(setting));
            assert_eq!(question.is_some(), asks, "{:?} {rule:?} {setting}", before.rule);
        }
    }
}
