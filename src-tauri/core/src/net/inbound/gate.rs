//! The one place where unpaired peers are refused: after TLS has authenticated their endpoint id, before any handler
//! runs.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use iroh::endpoint::{AfterHandshakeOutcome, Connection, EndpointHooks, Side};

use crate::{
    device::DeviceRegistry,
    net::{ALPN_PAIRING, CloseCode, liveness::connections::Connections},
};

/// Decides which peers may use which protocol.
#[derive(Clone)]
pub(in crate::net) struct Gate {
    own: [u8; 32],
    devices: DeviceRegistry,
    code_open: Arc<AtomicBool>,
    connections: Connections,
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Gate")
    }
}

impl Gate {
    pub fn new(own: [u8; 32], devices: DeviceRegistry, code_open: Arc<AtomicBool>, connections: Connections) -> Self {
        Self { own, devices, code_open, connections }
    }

    /// Returns the code with which the peer is refused, or `None` if it may use this protocol.
    pub fn refusal(&self, endpoint_id: &[u8; 32], alpn: &[u8]) -> Option<CloseCode> {
        if alpn == ALPN_PAIRING {
            let open = self.code_open.load(Ordering::Acquire) && !self.devices.is_blocked(endpoint_id);
            return (!open).then_some(CloseCode::NotPairing);
        }
        (!self.devices.is_admitted(endpoint_id)).then_some(CloseCode::NotPaired)
    }
}

impl EndpointHooks for Gate {
    async fn after_handshake<'a>(&'a self, conn: &'a Connection) -> AfterHandshakeOutcome {
        let refusal = match conn.side() {
            Side::Client => None,
            Side::Server => self.refusal(conn.remote_id().as_bytes(), conn.alpn()),
        };
        match refusal {
            None => {
                self.connections.add(conn);
                AfterHandshakeOutcome::accept()
            }
            Some(code) => {
                tracing::info!(peer = %conn.remote_id().fmt_short(), ?code, "refused");
                // A device that was unpaired while it was offline receives the notice here, which proves it. An
                // unpaired peer learns nothing.
                let notice = match code {
                    CloseCode::NotPaired => self.devices.notice_for(conn.remote_id().as_bytes(), &self.own),
                    _ => None,
                };
                AfterHandshakeOutcome::Reject { error_code: code.number(), reason: notice.unwrap_or_default() }
            }
        }
    }
}
