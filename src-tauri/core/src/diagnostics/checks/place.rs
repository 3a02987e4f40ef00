//! Checks of folders and free space.

use super::{about, failed, ok, size, warning};
use crate::{
    api::{ApiError, CheckView, KeystoreView},
    diagnostics::facts::FolderFacts,
};

/// Free bytes below which the data directory is not reliable.
const DATA_NEEDS: u64 = 32 << 20;
/// Free bytes below which hardly any file fits.
const DOWNLOADS_NEED: u64 = 1 << 30;

/// Creates the check `data`: records can be written.
pub fn data(folder: &FolderFacts) -> CheckView {
    let path = folder.path.display();
    match (&folder.refusal, folder.free) {
        (Some(refusal), _) => failed(
            "data",
            "data_not_writable",
            format!("The data directory {path} cannot be written to: {refusal}."),
            "Give your user the right to write there, or another folder with --data-dir.",
        )
        .with("path", path)
        .refused(refusal),
        (None, Some(free)) if free < DATA_NEEDS => failed(
            "data",
            "data_disk_full",
            format!("Only {} are free where Yonder keeps its data, {path}.", size(free)),
            "Make room on that disk: pairings and texts cannot be kept otherwise.",
        )
        .with("path", path)
        .with("free", free),
        _ => ok("data", format!("The data directory {path} can be written to.")).with("path", path),
    }
}

/// Creates the check `downloads`: received files can be written.
pub fn downloads(folder: &FolderFacts) -> CheckView {
    let path = folder.path.display();
    match (&folder.refusal, folder.free) {
        (Some(refusal), _) => failed(
            "downloads",
            "downloads_not_writable",
            format!("The download folder {path} cannot be written to: {refusal}."),
            "Choose another one: `yonder-cli settings download_dir DIR`, or in the settings of the window.",
        )
        .with("path", path)
        .refused(refusal),
        (None, Some(free)) if free < DOWNLOADS_NEED => warning(
            "downloads",
            "downloads_disk_nearly_full",
            format!("Only {} are free in the download folder {path}.", size(free)),
            "Make room, or choose a folder on another disk: `yonder-cli settings download_dir DIR`.",
        )
        .with("path", path)
        .with("free", free),
        (None, Some(free)) => ok("downloads", format!("{} are free in the download folder {path}.", size(free)))
            .with("path", path)
            .with("free", free),
        (None, None) => ok("downloads", format!("The download folder {path} can be written to.")).with("path", path),
    }
}

/// Creates the check `keystore`: where the root secret is stored. A running node has read it.
pub fn keystore(place: KeystoreView) -> CheckView {
    match place {
        KeystoreView::Keychain => ok("keystore", "The root secret is in the system's keychain.").with("keychain", ""),
        KeystoreView::File => ok("keystore", "The root secret is in a file under a passphrase."),
        KeystoreView::Plain => super::info(
            "keystore",
            "keystore_plain",
            "The root secret is in a file without a passphrase: whoever can read your files is this device.",
            "Where there is a keychain: `yonder-cli keystore move keychain`.",
        ),
    }
}

/// Creates the check `start`: why the node does not run.
pub fn start(error: &ApiError) -> CheckView {
    let hint = if error.hint.is_empty() { "See the log, and `yonder-cli doctor --report`." } else { &error.hint };
    let check = failed("start", &error.code, format!("Yonder cannot start here: {}.", error.message), hint);
    let check = error.args.iter().fold(check, |check, (name, value)| check.with(name, value));
    about("this device", check.with("reason", &error.message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::CheckStatus;

    #[test]
    fn a_full_disk_and_a_closed_folder_are_told_apart() {
        let folder = |refusal: Option<&str>, free| FolderFacts {
            path: "/some/where".into(),
            refusal: refusal.map(Into::into),
            free,
        };
        let code = |check: &CheckView| check.code.clone().unwrap_or_default();
        assert_eq!(data(&folder(None, Some(1 << 40))).status, CheckStatus::Ok);
        assert_eq!(data(&folder(None, None)).status, CheckStatus::Ok);
        assert_eq!(code(&data(&folder(None, Some(1)))), "data_disk_full");
        assert_eq!(code(&data(&folder(Some("no"), Some(1)))), "data_not_writable");
        assert_eq!(code(&downloads(&folder(None, Some(1 << 20)))), "downloads_disk_nearly_full");
        assert_eq!(downloads(&folder(None, Some(1 << 20))).status, CheckStatus::Warning);
        assert_eq!(downloads(&folder(Some("no"), None)).status, CheckStatus::Failed);
    }
}
