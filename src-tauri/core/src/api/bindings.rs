//! TypeScript types for the page, generated from the types of this module into `ui/src/backend/bindings.ts`. A test fails
//! if the file is out of date; `YONDER_BLESS=1 cargo test -p yonder-core bindings` rewrites it.

use ts_rs::{Config, TS};

use super::*;
use crate::id::{DeviceId, TransferId};

/// Returns the contents of `bindings.ts`.
pub fn typescript() -> String {
    let config = Config::default();
    let mut out = String::from(
        "// Made from src-tauri/core/src/api by `YONDER_BLESS=1 cargo test -p yonder-core bindings`. Do not edit.\n",
    );
    let mut add = |declaration: String| {
        out.push_str("\nexport ");
        out.push_str(&declaration);
        out.push('\n');
    };
    macro_rules! declare { ($($name:ty),* $(,)?) => { $( add(<$name as TS>::decl(&config)); )* } }
    declare!(
        DeviceId,
        TransferId,
        Arg,
        ApiError,
        DeviceType,
        IdentityView,
        KeystoreView,
        DeviceState,
        ConnectionState,
        ConnectionView,
        PathKind,
        TrustLevel,
        DeviceAccept,
        DeviceRule,
        AcceptRule,
        ConflictRule,
        MessageState,
        MessageView,
        Unread,
        NameProposal,
        DeviceView,
        Grant,
        PairingNote,
        PairingRole,
        PairingView,
        Direction,
        TransferState,
        TransferOptions,
        Note,
        Amount,
        Survey,
        TransferView,
        OfferEntry,
        OfferPage,
        PingView,
        Discoverable,
        Switch,
        RelayChoice,
        RelayView,
        Settings,
        SecretText,
        KeychainState,
        KeystoreStatus,
        BackupView,
        CheckStatus,
        CheckView,
        DoctorConnection,
        DoctorReport,
        FileId,
        Given,
    );
    add(Request::typescript(&config));
    declare!(
        Response,
        Snapshot,
        Event,
        NumberedEvent,
        FolderChoice,
        QuitStep,
        LinkView,
        PageLanguage,
        Picked,
        Sent,
        Unsent,
        ShellRequest,
        ShellResponse,
        ShellEvent,
    );
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn page_bindings_are_up_to_date() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../ui/src/backend/bindings.ts");
        let now = super::typescript();
        if std::env::var_os("YONDER_BLESS").is_some() {
            std::fs::create_dir_all(std::path::Path::new(path).parent().unwrap()).unwrap();
            std::fs::write(path, &now).unwrap();
        }
        let kept = std::fs::read_to_string(path).unwrap_or_default();
        assert_eq!(kept, now, "run: YONDER_BLESS=1 cargo test -p yonder-core bindings");
    }
}
