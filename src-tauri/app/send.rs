//! Sends a pick to one or several devices, to each as a separate transfer.

use std::{io::ErrorKind, path::PathBuf};

use yonder_core::api::{ApiError, Request, Response, Sent, TransferOptions, TransferRequest, Unsent};

use crate::{
    commands::{error, view},
    picks::name,
};

/// Maximum number of devices for one pick.
const MOST_DEVICES: usize = 64;

/// Maximum number of missing entries that are named.
const SHOWN: usize = 20;

/// Removes duplicates from the devices, and checks their number.
pub fn recipients(devices: Vec<String>) -> Result<Vec<String>, ApiError> {
    if devices.is_empty() || devices.len() > MOST_DEVICES {
        let told = error("invalid_input", &format!("1 to {MOST_DEVICES} devices can be sent to at once"), "");
        return Err(told.with("case", "devices").number("most", MOST_DEVICES as u64));
    }
    let mut once = Vec::with_capacity(devices.len());
    for device in devices {
        if !once.contains(&device) {
            once.push(device);
        }
    }
    Ok(once)
}

/// Removes entries that no longer exist, so that one missing file does not prevent the others from being sent. Also
/// returns the names of the missing ones. If nothing is left all are kept, and the core reports the error.
pub async fn present(paths: Vec<PathBuf>) -> (Vec<PathBuf>, Vec<String>) {
    let given = paths.clone();
    let looked = tauri::async_runtime::spawn_blocking(move || {
        let is_missing =
            |path: &PathBuf| path.symlink_metadata().is_err_and(|error| error.kind() == ErrorKind::NotFound);
        given.into_iter().partition::<Vec<_>, _>(is_missing)
    });
    match looked.await {
        Ok((missing, there)) if !there.is_empty() => {
            (there, missing.iter().take(SHOWN).map(|path| name(path)).collect())
        }
        _ => (paths, Vec::new()),
    }
}

/// Offers the paths to each device. A failure with one device does not stop the others; if all fail, the first error is
/// returned.
pub async fn each<Asked>(
    devices: Vec<String>,
    paths: &[PathBuf],
    options: TransferOptions,
    ask: impl Fn(Request) -> Asked,
) -> Result<Sent, ApiError>
where
    Asked: Future<Output = Result<Response, ApiError>>,
{
    let mut sent = Sent { transfers: Vec::new(), refused: Vec::new(), missing: Vec::new() };
    // One after the other, because each offer reads the same folders.
    for device in devices {
        let request =
            TransferRequest::Send { device: device.clone(), paths: paths.to_vec(), given: Vec::new(), options };
        match ask(request.into()).await.and_then(view) {
            Ok(transfer) => sent.transfers.push(transfer),
            Err(error) => sent.refused.push(Unsent { device, error }),
        }
    }
    if sent.transfers.is_empty() && !sent.refused.is_empty() {
        return Err(sent.refused.swap_remove(0).error);
    }
    Ok(sent)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use yonder_core::{
        api::{Direction, TransferState, TransferView},
        id::{DeviceId, TransferId},
    };

    use super::*;

    fn names(all: &[&str]) -> Vec<String> {
        all.iter().map(|name| (*name).to_string()).collect()
    }

    fn transfer(device_name: &str) -> TransferView {
        TransferView {
            id: TransferId::from_random([1; 16]),
            direction: Direction::Send,
            device: DeviceId::of_endpoint(&[2; 32]),
            device_name: device_name.into(),
            state: TransferState::Offered,
            reason: None,
            roots: vec!["a.txt".into()],
            root_count: 1,
            files: 1,
            files_done: 0,
            bytes: 0,
            total: 1,
            growing: false,
            offered: None,
            skipped: 0,
            reasons: Default::default(),
            rate: 0.0,
            eta: None,
            silent: None,
            started: 0,
            seconds: None,
            mean_rate: None,
            into: None,
            landed: Vec::new(),
            limit: None,
            place: None,
            notes: Vec::new(),
        }
    }

    /// Sends with a core that knows every device except those whose name begins with `no`. Returns the result and the
    /// core's requests.
    async fn sent(devices: &[&str], options: TransferOptions) -> (Result<Sent, ApiError>, Vec<Request>) {
        let asked = Mutex::new(Vec::new());
        let paths = [PathBuf::from("/home/someone/a.txt")];
        let answer = each(names(devices), &paths, options, |request| {
            asked.lock().unwrap().push(request.clone());
            std::future::ready(match request {
                Request::Transfer(TransferRequest::Send { device, .. }) if device.starts_with("no") => {
                    Err(error("device_unknown", &device, ""))
                }
                Request::Transfer(TransferRequest::Send { device, .. }) => Ok(Response::Transfer(transfer(&device))),
                _ => Ok(Response::Done),
            })
        });
        (answer.await, asked.into_inner().unwrap())
    }

    #[tokio::test]
    async fn each_device_gets_a_transfer_of_its_own_with_the_same_paths_and_options() {
        let options = TransferOptions { encrypt: false, limit: Some(2048), wait: true, ..TransferOptions::default() };
        let (answer, asked) = sent(&["one", "two"], options).await;
        let transfers = answer.unwrap().transfers;
        assert_eq!(transfers.iter().map(|each| each.device_name.as_str()).collect::<Vec<_>>(), ["one", "two"]);
        let paths = vec![PathBuf::from("/home/someone/a.txt")];
        let wanted = ["one", "two"].map(|device| {
            let (device, paths) = (device.into(), paths.clone());
            Request::from(TransferRequest::Send { device, paths, given: Vec::new(), options })
        });
        assert_eq!(asked, wanted);
        assert!(!serde_json::to_string(&transfers).unwrap().contains("someone"), "the page hears no path");
    }

    #[tokio::test]
    async fn one_that_cannot_be_offered_to_stops_no_other() {
        let (answer, asked) = sent(&["one", "no two", "three"], TransferOptions::default()).await;
        let Sent { transfers, refused, .. } = answer.unwrap();
        assert_eq!((transfers.len(), asked.len()), (2, 3));
        assert_eq!(refused.iter().map(|each| each.device.as_str()).collect::<Vec<_>>(), ["no two"]);
        assert_eq!(refused[0].error.code, "device_unknown");
    }

    #[tokio::test]
    async fn if_none_can_be_offered_to_the_first_error_is_the_answer() {
        let (answer, asked) = sent(&["no one", "no two"], TransferOptions::default()).await;
        assert_eq!((answer.unwrap_err().message.as_str(), asked.len()), ("no one", 2));
    }

    #[test]
    fn nobody_is_sent_to_twice_and_not_everybody_at_once() {
        assert_eq!(recipients(names(&["a", "b", "a"])).unwrap(), names(&["a", "b"]));
        assert_eq!(recipients(Vec::new()).unwrap_err().code, "invalid_input");
        assert!(recipients(vec!["a".into(); MOST_DEVICES]).is_ok());
        assert_eq!(recipients(vec!["a".into(); MOST_DEVICES + 1]).unwrap_err().code, "invalid_input");
    }

    #[tokio::test]
    async fn one_thing_that_is_gone_does_not_keep_the_rest_from_being_sent() {
        let (here, gone) = (PathBuf::from("/"), PathBuf::from("/no-such-folder-here/gone.txt"));
        let (paths, missing) = present(vec![here.clone(), gone.clone()]).await;
        assert_eq!((paths, missing), (vec![here], names(&["gone.txt"])));
        // Nothing is left: the core reports the error.
        assert_eq!(present(vec![gone.clone()]).await, (vec![gone], Vec::new()));
    }
}
