//! Commands `transfers`, `accept`, `decline`, `cancel`, `pause`, `resume`, `retry`, `order`, `limit`.

use std::path::Path;

use yonder_core::{
    api::{ConflictRule, Direction, Request, Response, SettingsRequest, TransferRequest, TransferView},
    id::TransferId,
};

use super::word;
use crate::{
    console::Console,
    failure::Failure,
    node::{Running, absolute},
    text::{beginnings, duration, shown, size, table},
};

pub async fn list(running: &Running, all: bool, find: Option<&str>, console: &Console) -> Result<(), Failure> {
    let transfers = transfers(running, all, find).await?;
    for transfer in &transfers {
        console.object(transfer);
    }
    match (transfers.is_empty(), all || find.is_some()) {
        (true, _) if find.is_some() => console.say("No transfer matches."),
        (true, true) => console.say("There are no transfers."),
        (true, false) => console.say("No transfer is under way. `yonder-cli transfers --all` shows those that ended."),
        _ => console.say(&transfer_table(&transfers)),
    }
    Ok(())
}

async fn transfers(running: &Running, all: bool, find: Option<&str>) -> Result<Vec<TransferView>, Failure> {
    let mut transfers: Vec<TransferView> = Vec::new();
    // Read page by page. Transfers may be added or removed meanwhile, so that one may be returned twice.
    loop {
        let skip = u32::try_from(transfers.len()).ok().filter(|skip| *skip > 0);
        let request = TransferRequest::Transfers { all, find: find.map(str::to_owned), skip };
        let Response::Transfers(mut page) = running.call(request).await? else {
            return Err(Failure::strange_answer());
        };
        page.retain(|transfer| transfers.iter().all(|known| known.id != transfer.id));
        if page.is_empty() {
            return Ok(transfers);
        }
        transfers.extend(page);
    }
}

fn transfer_table(transfers: &[TransferView]) -> String {
    let ids: Vec<_> = transfers.iter().map(|transfer| transfer.id.to_string()).collect();
    let rows: Vec<_> = transfers
        .iter()
        .zip(beginnings(&ids))
        .map(|(transfer, id)| {
            let way = match transfer.direction {
                Direction::Send => "to",
                Direction::Receive => "from",
            };
            let moving = transfer.rate > 0.0;
            [
                id,
                format!("{way} {}", shown(&transfer.device_name)),
                word(&transfer.state),
                match transfer.growing {
                    true => format!("{}, size unknown", size(transfer.bytes as f64)),
                    false => format!("{} of {}", size(transfer.bytes as f64), size(transfer.total as f64)),
                },
                if moving { format!("{}/s", size(transfer.rate)) } else { String::new() },
                if moving { duration(transfer.eta) } else { String::new() },
                what(transfer),
                transfer.reason.as_ref().map(|reason| shown(&reason.message)).unwrap_or_default(),
            ]
        })
        .collect();
    table(["ID", "DEVICE", "STATE", "BYTES", "RATE", "LEFT", "WHAT", "REASON"], &rows)
}

/// Describes the contents of a transfer in a few words.
pub fn what(transfer: &TransferView) -> String {
    match (transfer.roots.first(), transfer.root_count) {
        (None, _) => String::new(),
        (Some(first), 0 | 1) => shown(first),
        (Some(first), more) => format!("{} and {} more", shown(first), more - 1),
    }
}

pub async fn accept(
    running: &Running,
    id: &str,
    into: Option<&Path>,
    conflict: Option<ConflictRule>,
    console: &Console,
) -> Result<(), Failure> {
    let into = into.map(absolute).transpose()?;
    let id = find(running, id).await?;
    let conflict = match conflict {
        Some(conflict) => conflict,
        None => match running.call(SettingsRequest::Settings).await? {
            Response::Settings(settings) => settings.conflict,
            _ => return Err(Failure::strange_answer()),
        },
    };
    answered(running, TransferRequest::Accept { id, into, conflict, only: None }, console).await
}

pub async fn decline(running: &Running, id: &str, console: &Console) -> Result<(), Failure> {
    let id = find(running, id).await?;
    answered(running, TransferRequest::Decline { id }, console).await
}

pub async fn cancel(running: &Running, id: &str, console: &Console) -> Result<(), Failure> {
    let id = find(running, id).await?;
    answered(running, TransferRequest::Cancel { id }, console).await
}

pub async fn pause(running: &Running, id: &str, console: &Console) -> Result<(), Failure> {
    let id = find(running, id).await?;
    answered(running, TransferRequest::Pause { id }, console).await
}

pub async fn resume(running: &Running, id: &str, console: &Console) -> Result<(), Failure> {
    let id = find(running, id).await?;
    answered(running, TransferRequest::Resume { id }, console).await
}

/// Retries a transfer. Prints the id of the new one; the old one stays as it ended.
pub async fn retry(running: &Running, id: &str, console: &Console) -> Result<(), Failure> {
    let id = find(running, id).await?;
    answered(running, TransferRequest::Retry { id }, console).await
}

pub async fn order(running: &Running, id: &str, before: Option<&str>, console: &Console) -> Result<(), Failure> {
    let id = find(running, id).await?;
    let before = match before {
        Some("last") => None,
        Some(before) => Some(find(running, before).await?),
        None => {
            let open = transfers(running, false, None).await?;
            open.iter()
                .filter(|transfer| transfer.place.is_some())
                .min_by_key(|transfer| transfer.place)
                .map(|first| first.id)
        }
    };
    let Response::Transfers(open) = running.call(TransferRequest::Reorder { id, before }).await? else {
        return Err(Failure::strange_answer());
    };
    let mut queue: Vec<_> = open.into_iter().filter(|transfer| transfer.place.is_some()).collect();
    queue.sort_by_key(|transfer| transfer.place);
    queue.iter().for_each(|transfer| console.object(transfer));
    console.say(&transfer_table(&queue));
    Ok(())
}

pub async fn limit(running: &Running, rate: u64, id: Option<&str>, console: &Console) -> Result<(), Failure> {
    let Some(id) = id else {
        return super::setting::run(running, Some("limit"), Some(&rate.to_string()), console).await;
    };
    let id = find(running, id).await?;
    answered(running, TransferRequest::Limit { id, rate: (rate > 0).then_some(rate) }, console).await
}

async fn answered(running: &Running, request: impl Into<Request>, console: &Console) -> Result<(), Failure> {
    let Response::Transfer(transfer) = running.call(request).await? else { return Err(Failure::strange_answer()) };
    console.object(&transfer);
    console.say(&format!("{} is {}.", what(&transfer), word(&transfer.state)));
    Ok(())
}

/// Finds a transfer by its id, or by a unique prefix of it.
async fn find(running: &Running, text: &str) -> Result<TransferId, Failure> {
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    let known = transfers(running, true, None).await?;
    pick(text, known.iter().map(|transfer| (transfer.id, what(transfer))))
}

fn pick(text: &str, known: impl Iterator<Item = (TransferId, String)>) -> Result<TransferId, Failure> {
    const LISTED: usize = 8;
    let wanted = text.trim().to_ascii_lowercase();
    let fitting: Vec<_> = known.filter(|(id, _)| !wanted.is_empty() && id.to_string().starts_with(&wanted)).collect();
    match fitting.as_slice() {
        [(id, _)] => Ok(*id),
        [_, _, ..] => {
            let listed: Vec<_> = fitting.iter().take(LISTED).map(|(id, what)| format!("{id} ({what})")).collect();
            let more = if fitting.len() > LISTED { ", and others" } else { "" };
            Err(Failure::failed(
                "transfer_ambiguous",
                format!("{text:?} fits more than one transfer: {}{more}", listed.join(", ")),
                "Give more of its id.",
            ))
        }
        [] => Err(Failure::failed(
            "transfer_unknown",
            format!("no transfer has the id {text:?}"),
            "`yonder-cli transfers --all` lists them.",
        )),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    pub fn view(state: &str) -> TransferView {
        serde_json::from_value(json!({
            "id": "01234567-89ab-4def-8123-456789abcdef", "direction": "send",
            "device": "11234567-89ab-8def-8123-456789abcdef", "device_name": "B\u{7}", "state": state,
            "reason": {"code": "x", "message": "why\n", "hint": ""}, "roots": ["a\u{202e}b", "c"], "root_count": 2,
            "files": 3, "files_done": 1, "bytes": 1500, "total": 3000, "rate": 1500.0, "eta": 1.0, "started": 0,
            "seconds": null, "into": null, "notes": [],
        }))
        .unwrap()
    }

    #[test]
    fn table_shows_names_harmlessly() {
        let text = transfer_table(&[view("active")]);
        let row = text.lines().nth(1).unwrap();
        assert_eq!(
            row,
            "01234567  to B\\u{7}  active  1.5 kB of 3.0 kB  1.5 kB/s  0:01  a\\u{202e}b and 1 more  why\\u{a}"
        );
    }

    #[test]
    fn object_of_a_transfer_has_the_fields_that_are_promised() {
        let line: serde_json::Value = serde_json::from_str(&crate::console::object_line(&view("active"))).unwrap();
        for field in ["id", "direction", "device", "state", "reason", "files", "bytes", "total", "rate", "eta"] {
            assert!(line.get(field).is_some(), "{field}");
        }
    }

    #[test]
    fn beginning_of_an_id_is_enough_if_it_fits_one() {
        let ids: Vec<TransferId> = ["aaaa0000-89ab-4def-8123-456789abcdef", "aaab0000-89ab-4def-8123-456789abcdef"]
            .map(|text| text.parse().unwrap())
            .into();
        let pick = |text: &str| super::pick(text, ids.iter().map(|id| (*id, "notes.txt".to_owned())));
        assert_eq!(pick("AAAB").unwrap(), ids[1]);
        let ambiguous = pick("aaa").unwrap_err().error;
        assert_eq!(ambiguous.code, "transfer_ambiguous");
        assert!(ambiguous.message.contains(&format!("{} (notes.txt)", ids[1])), "{}", ambiguous.message);
        assert_eq!(pick("b").unwrap_err().error.code, "transfer_unknown");
        assert_eq!(pick("").unwrap_err().error.code, "transfer_unknown");
    }
}
