//! Resolves a name, an id, or the beginning of one to a device. Pure.
//!
//! Names are chosen by their devices, while ids are bound to keys: a name never overrides an id.

use super::DeviceError;
use crate::{api::DeviceView, id::is_whole_id};

/// Maximum number of devices that an error lists.
const LISTED: usize = 8;

/// Returns the device that `text` means.
///
/// 1. A complete device id or endpoint id means the device with that id only, whatever the names are.
/// 2. Any other text means each device whose id begins with it, and each whose name equals it or, if there is none,
///    begins with it. Case is ignored. Exactly one device must match.
///
/// Paired devices are searched first, so that an unpaired device on the LAN cannot make the name of one ambiguous.
pub(super) fn find<'a>(views: &'a [DeviceView], text: &str) -> Result<&'a DeviceView, DeviceError> {
    let wanted = text.trim().to_lowercase();
    if wanted.is_empty() {
        return Err(DeviceError::Unknown(text.into()));
    }
    if is_whole_id(&wanted) {
        let fits = |view: &&DeviceView| view.device_id.to_string() == wanted || view.endpoint_id == wanted;
        return views.iter().find(fits).ok_or_else(|| DeviceError::Unknown(text.into()));
    }
    for paired in [true, false] {
        let among: Vec<_> = views.iter().filter(|view| view.paired == paired).collect();
        let called = |view: &DeviceView| view.name.to_lowercase() == wanted;
        let any_called = among.iter().any(|view| called(view));
        let named =
            |view: &DeviceView| if any_called { called(view) } else { view.name.to_lowercase().starts_with(&wanted) };
        let fitting: Vec<_> = among.into_iter().filter(|view| begins_id(view, &wanted) || named(view)).collect();
        match fitting.as_slice() {
            [] => {}
            [one] => return Ok(*one),
            several => {
                let listed = several.iter().take(LISTED).map(|view| format!("{} ({})", view.name, view.device_id));
                let mut devices: Vec<_> = listed.collect();
                if several.len() > LISTED {
                    devices.push(format!("{} more", several.len() - LISTED));
                }
                return Err(DeviceError::Ambiguous { text: text.into(), devices: devices.join(", ") });
            }
        }
    }
    Err(DeviceError::Unknown(text.into()))
}

fn begins_id(view: &DeviceView, wanted: &str) -> bool {
    view.device_id.to_string().starts_with(wanted) || view.endpoint_id.starts_with(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::DeviceId;

    fn view(number: u8, name: &str, paired: bool) -> DeviceView {
        let endpoint_id = [number; 32];
        serde_json::from_value(serde_json::json!({
            "device_id": DeviceId::of_endpoint(&endpoint_id), "name": name, "paired": paired,
            "endpoint_id": data_encoding::HEXLOWER.encode(&endpoint_id), "type": "laptop", "state": "offline",
            "pairing": false, "nearby": true, "path": null, "rtt_ms": null, "address": null, "trust": "own",
            "rule": { "accept": "default", "up_to": null, "into": null }, "key_exchange": null, "connections": [],
            "secret_since": null, "paired_at": null, "last_seen": null,
        }))
        .unwrap()
    }

    fn found(views: &[DeviceView], text: &str) -> Result<String, &'static str> {
        use crate::error::RoomError;
        find(views, text).map(|view| view.endpoint_id[..2].to_owned()).map_err(|error| error.code())
    }

    #[test]
    fn a_whole_id_wins_over_every_name() {
        let ours = view(1, "Desk", true);
        for id in [ours.device_id.to_string(), ours.endpoint_id.clone()] {
            let views = [view(2, &id, true), ours.clone(), view(3, &id, false)];
            assert_eq!(found(&views, &id), Ok("01".into()));
            assert_eq!(found(&views, &id.to_uppercase()), Ok("01".into()));
            assert_eq!(found(&views[..1], &id), Err("device_unknown"), "a name never stands for an id");
        }
    }

    #[test]
    fn what_begins_an_id_and_is_a_name_is_ambiguous() {
        let ours = view(1, "Desk", true);
        let digits = &ours.device_id.to_string()[..8];
        assert_eq!(found(std::slice::from_ref(&ours), digits), Ok("01".into()));
        for name in [digits.to_owned(), digits.to_uppercase(), format!("{digits} or so")] {
            let error = find(&[ours.clone(), view(2, &name, true)], digits).unwrap_err();
            let text = error.to_string();
            assert!(text.contains(&ours.device_id.to_string()) && text.contains(&name), "{text}");
        }
        let itself = DeviceView { name: digits.to_owned(), ..ours.clone() };
        assert_eq!(found(&[itself], digits), Ok("01".into()), "both are one device");
        assert_eq!(found(&[ours, view(2, digits, false)], digits), Ok("01".into()), "a stranger is not looked at");
    }

    #[test]
    fn names_are_found_whole_before_their_beginnings() {
        let views = [view(1, "Desk", true), view(2, "Desk two", true), view(3, "desk", false), view(4, "Pad", false)];
        assert_eq!(found(&views, "desk"), Ok("01".into()));
        assert_eq!(found(&views, " DESK T"), Ok("02".into()));
        assert_eq!(found(&views, "des"), Err("device_ambiguous"));
        assert_eq!(found(&views, "pa"), Ok("04".into()));
        assert_eq!(found(&views, "x"), Err("device_unknown"));
        assert_eq!(found(&views, " "), Err("device_unknown"));
        let twins = [view(1, "Desk", true), view(2, "DESK", true)];
        assert_eq!(found(&twins, "desk"), Err("device_ambiguous"), "two of one name");
    }
}
