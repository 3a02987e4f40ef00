//! Check of what limits a transfer.

use super::{about, info, ok, size, warning};
use crate::api::{CheckView, ConnectionView, PathKind, TransferState, TransferView};

/// Share of the congestion window that is used if the network is the limit.
const FULL: f64 = 0.6;
/// Loss rate from which on loss is the limit.
const LOSSY: f64 = 0.01;
/// Share of the configured rate from which on the setting is the limit.
const AT_LIMIT: f64 = 0.85;

/// Creates the check `transfer` of an active or waiting transfer. `limit` is the configured rate in bytes a second.
pub fn check(transfer: &TransferView, connections: &[ConnectionView], limit: Option<u64>) -> Option<CheckView> {
    let check = match transfer.state {
        TransferState::Active => active(transfer, connections, limit),
        TransferState::Waiting => {
            let reason = transfer.reason.as_ref();
            warning(
                "transfer",
                "transfer_waiting",
                format!("It waits: {}.", reason.map_or("for the other device", |reason| reason.message.as_str())),
                reason.map(|reason| reason.hint.clone()).filter(|hint| !hint.is_empty()).unwrap_or_else(|| {
                    "It goes on by itself once the other device is there: `yonder-cli doctor DEVICE`.".into()
                }),
            )
            .with("reason", reason.map_or("", |reason| reason.code.as_str()))
        }
        _ => return None,
    };
    Some(about(format!("{} ({})", transfer.device_name, transfer.id), check))
}

fn active(transfer: &TransferView, connections: &[ConnectionView], limit: Option<u64>) -> CheckView {
    let rate = format!("{} a second", size(transfer.rate as u64));
    if let Some(limit) = limit.filter(|limit| transfer.rate >= *limit as f64 * AT_LIMIT) {
        return info(
            "transfer",
            "limited_by_setting",
            format!("{rate}: the limit of {} a second holds it back.", size(limit)),
            "Raise or lift the limit if that is not wanted.",
        )
        .with("rate", transfer.rate as u64)
        .with("limit", limit);
    }
    let Some(connection) = connections.iter().find(|connection| connection.protocol.starts_with("transfer/")) else {
        return info("transfer", "transfer_starting", "Its connection is being made.", "");
    };
    let at_once = connection.rtt_ms.map(|rtt| connection.cwnd as f64 / (rtt / 1000.0).max(0.000_1));
    let full = at_once.is_some_and(|most| transfer.rate >= most * FULL);
    if connection.loss >= LOSSY {
        return warning(
            "transfer",
            "limited_by_loss",
            format!("{rate}: {:.1} of 100 packets are lost on the way.", connection.loss * 100.0),
            "On Wi-Fi, go nearer to the access point or use a cable.",
        )
        .with("rate", transfer.rate as u64)
        .with("loss", connection.loss);
    }
    if connection.path == Some(PathKind::Relay) {
        return info(
            "transfer",
            "limited_by_relay",
            format!("{rate}: it goes through a relay, which is slower than a direct connection."),
            "`yonder-cli doctor DEVICE` tells why there is no direct one.",
        )
        .with("rate", transfer.rate as u64);
    }
    if full {
        return ok("transfer", format!("{rate}: the network between the two devices is used in full."))
            .with("rate", transfer.rate as u64);
    }
    info(
        "transfer",
        "limited_by_device",
        format!("{rate}: the network could carry more; a disk or processor at either end sets the pace."),
        "Many small files and slow disks take their time; nothing is wrong with the network.",
    )
    .with("rate", transfer.rate as u64)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        api::{ApiError, CheckStatus, ConnectionState},
        id::{DeviceId, TransferId},
    };

    fn transfer(state: TransferState, rate: f64) -> TransferView {
        // Built from JSON, so that a new field needs no change here.
        let view = json!({
            "id": TransferId::from_random([1; 16]), "direction": "send", "device": DeviceId::of_endpoint(&[1; 32]),
            "device_name": "Laptop", "state": state, "reason": null, "roots": [], "root_count": 0, "files": 0,
            "files_done": 0, "bytes": 0, "total": 0, "rate": rate, "eta": null, "started": 0, "seconds": null,
            "into": null, "notes": [],
        });
        serde_json::from_value(view).unwrap()
    }

    fn connection(path: PathKind, loss: f64) -> ConnectionView {
        ConnectionView {
            protocol: "transfer/1.0".into(),
            state: ConnectionState::Connected,
            path: Some(path),
            address: None,
            rtt_ms: Some(10.0),
            loss,
            cwnd: 100_000,
            mtu: 1400,
            bytes_sent: 0,
            bytes_received: 0,
            since: None,
        }
    }

    #[test]
    fn what_holds_it_back_is_named() {
        let code = |rate, path, loss, limit| {
            let check = check(&transfer(TransferState::Active, rate), &[connection(path, loss)], limit).unwrap();
            check.code.unwrap_or_else(|| "ok".into())
        };
        // The window allows 10 MB/s.
        assert_eq!(code(9e6, PathKind::Direct, 0.0, None), "ok");
        assert_eq!(code(1e6, PathKind::Direct, 0.0, None), "limited_by_device");
        assert_eq!(code(1e6, PathKind::Direct, 0.0, Some(1_000_000)), "limited_by_setting");
        assert_eq!(code(1e6, PathKind::Direct, 0.03, None), "limited_by_loss");
        assert_eq!(code(1e6, PathKind::Relay, 0.0, None), "limited_by_relay");
    }

    #[test]
    fn one_that_waits_says_for_what_and_one_that_ended_says_nothing() {
        let mut waiting = transfer(TransferState::Waiting, 0.0);
        let reason = ApiError::new("disk_full", "the disk is full", "Make room.");
        waiting.reason = Some(reason);
        let told = check(&waiting, &[], None).unwrap();
        assert_eq!((told.status, told.hint.as_str()), (CheckStatus::Warning, "Make room."));
        assert!(check(&transfer(TransferState::Done, 0.0), &[], None).is_none());
    }
}
