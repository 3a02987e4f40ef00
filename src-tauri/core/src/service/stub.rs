
use std::{path::PathBuf, sync::Arc};
use n0_future::boxed::BoxFuture;
use crate::{api::*, error::NetworkError, event::EventBus, id::*, net::*, storage::Store};
#[derive(Clone)]
pub struct Transfers;
#[allow(dead_code)]
pub struct TransferDeps { pub store: Store, pub events: EventBus, pub connector: Arc<dyn Connector>, pub names: Arc<dyn Fn(DeviceId)->String+Send+Sync>, pub cancel: tokio_util::sync::CancellationToken, pub download_dir: Arc<dyn Fn()->PathBuf+Send+Sync>, pub accept_rule: Arc<dyn Fn(DeviceId)->AcceptRule+Send+Sync> }
fn no<T>() -> Result<T, NetworkError> { Err(NetworkError::Internal("transfers are not there yet".into())) }
impl Transfers {
    pub async fn start(_: TransferDeps) -> Result<Self, NetworkError> { Ok(Self) }
    pub fn protocol(&self) -> Arc<dyn NetworkProtocol> { Arc::new(P) }
    pub fn list(&self, _: bool) -> Vec<TransferView> { vec![] }
    pub fn get(&self, _: TransferId) -> Result<TransferView, NetworkError> { no() }
    pub async fn send(&self, _: DeviceId, _: Vec<PathBuf>, _: TransferOptions) -> Result<TransferView, NetworkError> { no() }
    pub async fn accept(&self, _: TransferId, _: Option<PathBuf>, _: ConflictRule) -> Result<TransferView, NetworkError> { no() }
    pub async fn decline(&self, _: TransferId) -> Result<TransferView, NetworkError> { no() }
    pub async fn cancel(&self, _: TransferId) -> Result<TransferView, NetworkError> { no() }
    pub async fn forget(&self, _: TransferId) -> Result<(), NetworkError> { no() }
    pub async fn shutdown(&self) {}
}
struct P;
impl NetworkProtocol for P { fn alpn(&self) -> &'static [u8] { ALPN_TRANSFER } fn handle(self: Arc<Self>, s: Session) -> BoxFuture<Result<(), NetworkError>> { Box::pin(async move { s.connection().closed().await; Ok(()) }) } }
