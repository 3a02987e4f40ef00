//! Requests to a node over its control socket, as the app and the command line make them, without one process per
//! request.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use tokio::runtime::Runtime;
use yonder_core::{
    api::{ApiError, DiagnosticsRequest, MessageRequest, MessageView, PingView, Request, Response},
    control::Client,
};

use crate::{device::Device, program::TEST_TIMEOUT};

/// A connection to a node, which can be reopened after the node was restarted.
pub struct ControlClient {
    data_dir: PathBuf,
    client: Client,
    runtime: Runtime,
}

impl ControlClient {
    /// Waits until the device's node answers.
    #[track_caller]
    pub fn to(device: &Device) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("threads");
        let data_dir = device.data_dir().to_owned();
        let client = runtime.block_on(connect(&data_dir));
        Self { data_dir, client, runtime }
    }

    /// Connects again, to the node that runs there now.
    #[track_caller]
    pub fn reconnect(&mut self) {
        self.client = self.runtime.block_on(connect(&self.data_dir));
    }

    /// Returns the client and the runtime it lives on.
    pub fn parts(&self) -> (&Client, &Runtime) {
        (&self.client, &self.runtime)
    }

    /// Sends a request and waits for the answer.
    ///
    /// # Errors
    /// The node's error, or that the node is gone.
    pub fn ask(&self, request: impl Into<Request>) -> Result<Response, ApiError> {
        self.runtime.block_on(self.client.call(request))
    }

    /// Sends a text; the node has stored it when this returns.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub fn say(&self, device: &str, text: &str) -> Result<(), ApiError> {
        self.ask(MessageRequest::SendText { device: device.into(), text: text.into() }).map(drop)
    }

    /// Measures round trips to a device.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub fn ping(&self, device: &str, count: u32) -> Result<PingView, ApiError> {
        match self.ask(DiagnosticsRequest::Ping { device: device.into(), count })? {
            Response::Ping(view) => Ok(view),
            other => panic!("not round trips: {other:?}"),
        }
    }

    /// Returns texts exchanged with a device before this position, oldest first, 200 at most.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub fn page(&self, device: &str, before: Option<u64>) -> Result<Vec<MessageView>, ApiError> {
        match self.ask(MessageRequest::Messages { device: device.into(), before, limit: 200 })? {
            Response::Messages(texts) => Ok(texts),
            other => panic!("not texts: {other:?}"),
        }
    }

    /// Returns all texts exchanged with a device, oldest first.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub fn texts(&self, device: &str) -> Result<Vec<MessageView>, ApiError> {
        let mut all = Vec::new();
        let mut page = self.page(device, None)?;
        while let Some(first) = page.first().map(|text| text.id) {
            all.splice(0..0, page);
            page = self.page(device, Some(first))?;
        }
        Ok(all)
    }
}

async fn connect(data_dir: &std::path::Path) -> Client {
    let end = Instant::now() + TEST_TIMEOUT;
    loop {
        match Client::connect(data_dir).await {
            Ok(Some(client)) => return client,
            other => assert!(Instant::now() < end, "no node answers in {}: {:?}", data_dir.display(), other.err()),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
