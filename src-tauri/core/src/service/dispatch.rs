//! Answers the requests of the API.

use std::{path::PathBuf, time::Duration};

use super::{NetworkingService, pairing::approved_as};
use crate::{
    api::{
        ApiError, DeviceRule, DeviceView, Given, PingView, Request, Response, Snapshot, TransferOptions, TransferView,
    },
    error::NetworkError,
    id::DeviceId,
    messaging::NetworkMessage,
    net::{ALPN_MESSAGE, Connector, Session},
    pairing::completions,
    transfer::{AcceptOptions, send::source::Named},
};

const MAX_PINGS: u32 = 1000;
/// Time limit for telling one device the new name.
const FAREWELL: Duration = Duration::from_secs(2);

impl NetworkingService {
    /// Answers one request of the API.
    ///
    /// # Errors
    /// Returns an [`ApiError`] with a stable code; see [`crate::error`].
    pub async fn call(&self, request: Request) -> Result<Response, ApiError> {
        self.answer(request).await.map_err(ApiError::from)
    }

    async fn answer(&self, request: Request) -> Result<Response, NetworkError> {
        let transfers = &self.0.transfers;
        Ok(match request {
            Request::Snapshot => Response::Snapshot(Box::new(self.snapshot().await)),
            Request::Identity => Response::Identity(self.identity_view()),
            Request::Devices => Response::Devices(self.0.devices.views()),
            Request::PairHost { approve, level, words } => {
                Response::Pairing(self.0.pairing.host(approved_as(approve, level)?, words)?)
            }
            Request::PairJoin { code, device, approve, level } => {
                let approve = approved_as(approve, level)?;
                Response::Pairing(self.0.pairing.join(&code, device.as_deref(), approve)?)
            }
            Request::PairAnswer { approve, level, check_words } => {
                let answer = approved_as(approve, level)?;
                Response::Pairing(self.0.pairing.answer(answer, check_words.as_deref())?)
            }
            Request::PairCancel => {
                self.0.pairing.cancel();
                Response::Done
            }
            Request::CompleteWord { prefix } => {
                Response::Words(completions(&prefix).into_iter().map(str::to_owned).collect())
            }
            Request::Unpair { device } => {
                self.unpair(&device).await?;
                Response::Done
            }
            Request::Block { device } => {
                self.block(&device).await?;
                Response::Done
            }
            Request::Unblock { device } => {
                self.unblock(&device).await?;
                Response::Done
            }
            Request::Trust { device, level, accept, up_to, into } => {
                let into = into.map(|path| path.display().to_string());
                let rule = accept.map(|accept| DeviceRule { accept, up_to, into });
                Response::Devices(vec![self.trust(&device, level, rule).await?])
            }
            Request::TakeName { device, name } => {
                let device = self.0.devices.find_paired(&device)?;
                Response::Devices(vec![self.0.devices.take_name(device.device_id, &name).await?])
            }
            Request::RotateSecret { device } => {
                self.rotate_secret(&device).await?;
                Response::Done
            }
            Request::Rename { name } => Response::Settings(self.set("name", &name).await?),
            Request::Keystore => Response::Keystore(self.keystore().await?),
            Request::KeystoreMove { to, passphrase, new_passphrase } => {
                Response::Keystore(self.keystore_move(to, passphrase, new_passphrase).await?)
            }
            Request::KeystoreRotate => {
                self.keystore_rotate().await?;
                Response::Done
            }
            Request::KeystoreBackup { path, backup_passphrase, passphrase } => {
                Response::Backup(self.keystore_backup(path, backup_passphrase, passphrase).await?)
            }
            Request::Settings => Response::Settings(self.0.settings.get()),
            Request::SetSetting { key, value } => Response::Settings(self.set(&key, &value).await?),
            Request::SetRelayToken { token } => Response::Settings(self.set_relay_token(token).await?),
            Request::Relays { probe } => Response::Relays(self.relays(probe).await),
            Request::Send { device, paths, given, options } => {
                Response::Transfer(self.send(&device, paths, given, options).await?)
            }
            Request::Survey { paths } => Response::Survey(transfers.survey(paths).await?),
            Request::Transfers { all, find, skip } => {
                Response::Transfers(transfers.page(all, find.as_deref(), skip.unwrap_or(0)))
            }
            Request::Transfer { id } => Response::Transfer(transfers.get(id)?),
            Request::Accept { id, into, conflict, only } => {
                Response::Transfer(transfers.accept(id, AcceptOptions { into, conflict, only }).await?)
            }
            Request::OfferEntries { id, parent, skip, limit } => {
                Response::OfferEntries(transfers.offer_entries(id, parent, skip, limit).await?)
            }
            Request::Pause { id } => Response::Transfer(transfers.pause(id).await?),
            Request::Resume { id } => Response::Transfer(transfers.resume(id).await?),
            Request::Retry { id } => Response::Transfer(transfers.retry(id).await?),
            Request::Reorder { id, before } => Response::Transfers(transfers.reorder(id, before).await?),
            Request::Limit { id, rate } => Response::Transfer(transfers.limit(id, rate).await?),
            Request::Decline { id } => Response::Transfer(transfers.decline(id).await?),
            Request::Cancel { id } => Response::Transfer(transfers.cancel(id).await?),
            Request::Forget { id } => {
                transfers.forget(id).await?;
                Response::Done
            }
            Request::SendText { device, text } => {
                let device = self.0.devices.find_paired(&device)?;
                Response::Message(self.send_text(device.device_id, &text).await?)
            }
            Request::Messages { device, before, limit } => {
                let device = self.0.devices.find_record(&device)?;
                Response::Messages(self.0.texts.list(device.device_id, before, limit).await?)
            }
            Request::MessagesSeen { device } => {
                let device = self.0.devices.find_record(&device)?;
                self.0.texts.seen(device.device_id).await?;
                Response::Done
            }
            Request::Ping { device, count } => Response::Ping(self.ping(&device, count).await?),
            Request::Doctor { device } => Response::Doctor(self.doctor(device.as_deref()).await?),
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
            return Err(NetworkError::InvalidInput {
                message: format!("{count} pings cannot be sent"),
                hint: format!("1 to {MAX_PINGS}."),
            });
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
