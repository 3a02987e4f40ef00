//! Requests to a node, grouped by feature.
//!
//! In JSON a request is one flat object, whose field `cmd` names the request: `{"cmd":"rename","name":"Desk"}`. Groups exist
//! in Rust only: no `cmd` occurs in two of them, and the page's type is one union.

mod device;
mod diagnostics;
mod keystore;
mod message;
mod node;
mod pairing;
mod read;
mod settings;
mod transfer;

pub use device::DeviceRequest;
pub use diagnostics::DiagnosticsRequest;
pub use keystore::KeystoreRequest;
pub use message::MessageRequest;
pub use node::NodeRequest;
pub use pairing::PairingRequest;
use serde::Serialize;
pub use settings::SettingsRequest;
pub use transfer::{FileId, Given, TransferRequest};
use ts_rs::TS;

use read::RequestGroup;

/// Declares [`Request`] and everything that has to know all groups.
macro_rules! groups {
    ($($(#[$doc:meta])* $group:ident($requests:ident),)*) => {
        /// A request to a node. `device` is a name, a device id, an endpoint id, or a unique prefix of one.
        #[derive(Clone, Debug, PartialEq, Serialize)]
        #[serde(untagged)]
        pub enum Request {
            $($(#[$doc])* $group($requests),)*
        }

        $(
            impl From<$requests> for Request {
                fn from(request: $requests) -> Self {
                    Self::$group(request)
                }
            }
        )*

        impl Request {
            /// Groups in the order in which the error for an unknown command lists them.
            const GROUPS: &[RequestGroup] = &[$(RequestGroup::of::<$requests>()),*];

            /// Returns the type for the page: one union of all requests.
            pub(super) fn typescript(config: &ts_rs::Config) -> String {
                let groups = [$(<$requests as TS>::inline(config)),*];
                format!("type Request = {};", groups.join(" | "))
            }
        }
    };
}

groups! {
    /// Returns the state of the node.
    Node(NodeRequest),
    /// Changes the current pairing.
    Pairing(PairingRequest),
    /// Changes one device.
    Device(DeviceRequest),
    /// Changes the keystore of the root secret.
    Keystore(KeystoreRequest),
    /// Returns or changes settings.
    Settings(SettingsRequest),
    /// Makes, changes or returns transfers.
    Transfer(TransferRequest),
    /// Sends or returns texts.
    Message(MessageRequest),
    /// Measures or examines.
    Diagnostics(DiagnosticsRequest),
}

#[cfg(test)]
mod tests;
