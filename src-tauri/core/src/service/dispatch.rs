//! Answers the requests of the API: one function for each group. Those of the pairing and of the keystore are in the files
//! of these.

use std::{path::PathBuf, time::Duration};

use super::NetworkingService;
use crate::{
    api::{
        ApiError, DeviceRequest, DeviceRule, DeviceView, DiagnosticsRequest, Given, MessageRequest, NodeRequest,
        PingView, Request, Response, SettingsRequest, Snapshot, TransferOptions, TransferRequest, TransferView,
    },
    error::{InputError, NetworkError},
    id::DeviceId,
    messaging::NetworkMessage,
    net::{ALPN_MESSAGE, Connector, Session},
    transfer::{AcceptOptions, named::Named},
};

const MAX_PINGS: u32 = 1000;
/// Time limit for telling one device the new name.
const FAREWELL: Duration = Duration::from_secs(2);

impl NetworkingService {
    /// Answers one request of the API.
    ///
    /// # Errors
    /// Returns an [`ApiError`] with a stable code; see [`crate::error`].
    pub async fn call(&self, request: impl Into<Request>) -> Result<Response, ApiError> {
        self.answer(request.into()).await.map_err(ApiError::from)
    }

    async fn answer(&self, request: Request) -> Result<Response, NetworkError> {
        match request {
            Request::Node(request) => Ok(self.answer_node(request).await),
            Request::Pairing(request) => self.0.pairing.answer_request(request),
            Request::Device(request) => self.answer_device(request).await,
            Request::Keystore(request) => self.answer_keystore(request).await,
            Request::Settings(request) => self.answer_settings(request).await,
            Request::Transfer(request) => self.answer_transfer(request).await,
            Request::Message(request) => self.answer_message(request).await,
            Request::Diagnostics(request) => self.answer_diagnostics(request).await,
        }
    }

    async fn answer_node(&self, request: NodeRequest) -> Response {
        match request {
            NodeRequest::Snapshot => Response::Snapshot(Box::new(self.snapshot().await)),
            NodeRequest::Identity => Response::Identity(self.identity_view()),
            NodeRequest::Devices => Response::Devices(self.0.devices.views()),
        }
    }

    async fn answer_device(&self, request: DeviceRequest) -> Result<Response, NetworkError> {
        match request {
            DeviceRequest::Unpair { device } => self.unpair(&device).await?,
            DeviceRequest::Block { device } => self.block(&device).await?,
            DeviceRequest::Unblock { device } => self.unblock(&device).await?,
            DeviceRequest::Trust { device, level, accept, up_to, into } => {
                let into = into.map(|path| path.display().to_string());
                let rule = accept.map(|accept| DeviceRule { accept, up_to, into });
                return Ok(Response::Devices(vec![self.trust(&device, level, rule).await?]));
            }
            DeviceRequest::TakeName { device, name } => {
                let device = self.0.devices.find_paired(&device)?;
                return Ok(Response::Devices(vec![self.0.devices.take_name(device.device_id, &name).await?]));
            }
            DeviceRequest::RotateSecret { device } => self.rotate_secret(&device).await?,
            DeviceRequest::Rename { name } => return Ok(Response::Settings(self.set("name", &name).await?)),
        }
        Ok(Response::Done)
    }

    async fn answer_settings(&self, request: SettingsRequest) -> Result<Response, NetworkError> {
        Ok(match request {
            SettingsRequest::Settings => Response::Settings(self.0.settings.get()),
            SettingsRequest::SetSetting { key, value } => Response::Settings(self.set(&key, &value).await?),
            SettingsRequest::SetRelayToken { token } => Response::Settings(self.set_relay_token(token).await?),
            SettingsRequest::Relays { probe } => Response::Relays(self.relays(probe).await),
        })
    }

    async fn answer_transfer(&self, request: TransferRequest) -> Result<Response, NetworkError> {
        let transfers = &self.0.transfers;
        let transfer = match request {
            TransferRequest::Survey { paths } => return Ok(Response::Survey(transfers.survey(paths).await?)),
            TransferRequest::Send { device, paths, given, options } => {
                self.send(&device, paths, given, options).await?
            }
            TransferRequest::Transfers { all, find, skip } => {
                return Ok(Response::Transfers(transfers.page(all, find.as_deref(), skip.unwrap_or(0))));
            }
            TransferRequest::Transfer { id } => transfers.get(id)?,
            TransferRequest::Accept { id, into, conflict, only } => {
                transfers.accept(id, AcceptOptions { into, conflict, only }).await?
            }
            TransferRequest::OfferEntries { id, parent, skip, limit } => {
                return Ok(Response::OfferEntries(transfers.offer_entries(id, parent, skip, limit).await?));
            }
            TransferRequest::Decline { id } => transfers.decline(id).await?,
            TransferRequest::Cancel { id } => transfers.cancel(id).await?,
            TransferRequest::Pause { id } => transfers.pause(id).await?,
            TransferRequest::Resume { id } => transfers.resume(id).await?,
            TransferRequest::Retry { id } => transfers.retry(id).await?,
            TransferRequest::Reorder { id, before } => {
                return Ok(Response::Transfers(transfers.reorder(id, before).await?));
            }
            TransferRequest::Limit { id, rate } => transfers.limit(id, rate).await?,
            TransferRequest::Forget { id } => {
                transfers.forget(id).await?;
                return Ok(Response::Done);
            }
        };
        Ok(Response::Transfer(transfer))
    }

    async fn answer_message(&self, request: MessageRequest) -> Result<Response, NetworkError> {
        Ok(match request {
            MessageRequest::SendText { device, text } => {
                let device = self.0.devices.find_paired(&device)?;
                Response::Message(self.send_text(device.device_id, &text).await?)
            }
            MessageRequest::Messages { device, before, limit } => {
                let device = self.0.devices.find_record(&device)?;
                Response::Messages(self.0.texts.list(device.device_id, before, limit).await?)
            }
            MessageRequest::MessagesSeen { device } => {
                let device = self.0.devices.find_record(&device)?;
                self.0.texts.seen(device.device_id).await?;
                Response::Done
            }
        })
    }

    async fn answer_diagnostics(&self, request: DiagnosticsRequest) -> Result<Response, NetworkError> {
        Ok(match request {
            DiagnosticsRequest::Ping { device, count } => Response::Ping(self.ping(&device, count).await?),
            DiagnosticsRequest::Doctor { device } => Response::Doctor(self.doctor(device.as_deref()).await?),
        })
    }

    async fn snapshot(&self) -> Snapshot {
        // The number is read first: an event in between is then reported twice rather than not at all.
        let seq = self.0.events.last_seq();
        Snapshot {
            seq,
            identity: self.identity_view(),
            devices: self.0.devices.views(),
            pairing: self.0.pairing.view(),
            unread: self.0.texts.unread().await,
            transfers: self.0.transfers.snapshot(),
            settings: self.0.settings.get(),
            relays: self.relays(false).await,
        }
    }

    /// Returns the device of this id, paired or nearby.
    pub fn get_device(&self, id: DeviceId) -> Option<DeviceView> {
        self.0.devices.view(id)
    }

    /// Sends a message to a paired device. Completes when the device's endpoint has acknowledged it.
    ///
    /// # Errors
    /// When the device is not paired or cannot be reached.
    pub async fn send_message(&self, id: DeviceId, message: &NetworkMessage) -> Result<(), NetworkError> {
        let session = Connector::session(self.0.net.up()?, id, ALPN_MESSAGE).await?;
        self.0.messages.send(&session, message).await
    }

    /// Returns a session with a paired device for a protocol: the live session if there is one, else a new one. Meant
    /// for custom protocols.
    ///
    /// # Errors
    /// When the device is not paired, cannot be reached, or does not support the protocol.
    pub async fn session(&self, id: DeviceId, alpn: &'static [u8]) -> Result<Session, NetworkError> {
        Connector::session(self.0.net.up()?, id, alpn).await
    }

    async fn send(
        &self,
        device: &str,
        paths: Vec<PathBuf>,
        given: Vec<Given>,
        options: TransferOptions,
    ) -> Result<TransferView, NetworkError> {
        let device = self.0.devices.find_paired(device)?;
        let given = given.into_iter().chain(std::iter::repeat_with(Given::default));
        let named = paths.into_iter().zip(given).map(|(path, given)| Named { path, given }).collect();
        self.0.transfers.send_named(device.device_id, named, options).await
    }

    async fn set(&self, key: &str, value: &str) -> Result<crate::api::Settings, NetworkError> {
        let settings = self.0.settings.clone().set(key, value).await?;
        self.0.events.emit(crate::api::Event::Settings { settings: settings.clone() });
        if matches!(key, "limit" | "parallel") {
            self.apply_limits(&settings);
        }
        self.advertise();
        if matches!(key, "name" | "type") {
            self.0.events.emit(crate::api::Event::Identity(self.identity_view()));
            self.tell_name(&settings).await;
        }
        Ok(settings)
    }

    /// Applies the settings for the rate limit and the number of parallel transfers.
    pub(super) fn apply_limits(&self, settings: &crate::api::Settings) {
        let rate = (settings.limit > 0).then_some(settings.limit);
        self.0.transfers.set_limits(rate, settings.parallel);
    }

    /// Sends the new name to all connected devices at once, so that none delays the others. Other devices learn it with
    /// their next session.
    async fn tell_name(&self, settings: &crate::api::Settings) {
        let Some(net) = self.0.net.get() else { return };
        let hello = NetworkMessage::Hello {
            name: settings.name.clone(),
            device_type: settings.device_type,
            instance: self.0.instance,
        };
        let live = self.0.devices.dialable().into_iter().filter_map(|id| net.live(id, ALPN_MESSAGE));
        let told = live.map(|session| {
            let hello = &hello;
            async move {
                let sent = tokio::time::timeout(FAREWELL, self.0.messages.send(&session, hello));
                if let Ok(Err(error)) = sent.await {
                    tracing::debug!(%error, "a device was not told the new name");
                }
            }
        });
        n0_future::join_all(told).await;
    }

    async fn ping(&self, device: &str, count: u32) -> Result<PingView, NetworkError> {
        if count == 0 || count > MAX_PINGS {
            return Err(InputError::Pings { count: count.into(), most: MAX_PINGS.into() }.into());
        }
        let device = self.0.devices.find_paired(device)?;
        let net = self.0.net.up()?;
        let mut session = Connector::session(net, device.device_id, ALPN_MESSAGE).await?;
        let mut rtt_ms = Vec::new();
        for _ in 0..count {
            let answered = match self.0.messages.ping(&session).await {
                // The session was replaced by another one, or the device is gone. A dial tells which.
                Err(NetworkError::ConnectionLost(_)) => {
                    session = Connector::session(net, device.device_id, ALPN_MESSAGE).await?;
                    self.0.messages.ping(&session).await
                }
                answered => answered,
            };
            rtt_ms.push(answered?.as_secs_f64() * 1000.0);
        }
        let mut sorted = rtt_ms.clone();
        sorted.sort_by(f64::total_cmp);
        let at = |share: f64| sorted.get(((sorted.len() - 1) as f64 * share).round() as usize).copied();
        Ok(PingView {
            path: self.0.devices.view(device.device_id).and_then(|view| view.path),
            min: at(0.0).unwrap_or_default(),
            median: at(0.5).unwrap_or_default(),
            p99: at(0.99).unwrap_or_default(),
            rtt_ms,
        })
    }
}
