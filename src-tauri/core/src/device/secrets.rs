//! Pairing secrets of a device, and the conclusions from which one opened a session.
//!
//! Usually there is one secret. There is a second one while a pairing or a renewal is not finished: each step is stored
//! before the next message is sent, so that a crash at any point leaves a secret that both sides hold.

use super::{DeviceError, DeviceRegistry, PersistedPairedDevice};
use crate::{
    api::{ApiError, Event, TrustLevel},
    clock::unix_now,
    id::DeviceId,
    keys::{Key, beacon_key, done_holds, notice_holds},
    storage::{Op, Table},
};

impl DeviceRegistry {
    /// Returns the secrets of the device with this endpoint, the one to answer with first. Empty for unpaired and
    /// blocked devices.
    pub fn secrets_for(&self, endpoint_id: &[u8; 32]) -> Vec<Key> {
        let id = DeviceId::of_endpoint(endpoint_id);
        let known = self.known();
        let paired = known.paired.get(&id);
        if paired.is_some_and(|record| record.trust_level == TrustLevel::Blocked) {
            return Vec::new();
        }
        let pending = known.pending.get(&id).map(|record| record.session_keys.clone());
        paired.map(PersistedPairedDevice::secrets).unwrap_or_default().into_iter().chain(pending).collect()
    }

    /// Returns by endpoint id the beacon keys between each paired device and this one, the most recently seen device
    /// first. Blocked devices are left out: they must not learn where this one is.
    pub fn beacon_keys(&self) -> Vec<([u8; 32], Vec<Key>)> {
        let mut ids: Vec<(u64, [u8; 32])> = {
            let known = self.known();
            let records = known.paired.values().chain(known.pending.values());
            records
                .map(|record| (known.last_seen.get(&record.device_id()), record.device_info.endpoint_id))
                .map(|(seen, endpoint_id)| (seen.copied().unwrap_or_default(), endpoint_id))
                .collect()
        };
        ids.sort_unstable_by(|a, b| b.cmp(a));
        let keys = |endpoint_id: &[u8; 32]| self.secrets_for(endpoint_id).iter().map(beacon_key).collect::<Vec<_>>();
        let mut all: Vec<_> = ids.iter().map(|(_, endpoint_id)| (*endpoint_id, keys(endpoint_id))).collect();
        all.dedup_by_key(|(endpoint_id, _)| *endpoint_id);
        all.retain(|(_, keys)| !keys.is_empty());
        all
    }

    /// True if the device with this endpoint is blocked; it is refused everywhere, on pairing too.
    pub fn is_blocked(&self, endpoint_id: &[u8; 32]) -> bool {
        let known = self.known();
        let record = known.paired.get(&DeviceId::of_endpoint(endpoint_id));
        record.is_some_and(|record| record.trust_level == TrustLevel::Blocked)
    }

    /// Handles a new session: finishes a pairing or renewal that the other side has finished, as the secret `used`
    /// shows. The records are read now, because they may have changed since the handshake. Returns the present secret
    /// if the other side has yet to finish and must be told.
    ///
    /// # Errors
    /// When it cannot be stored.
    pub async fn session_stands(&self, id: DeviceId, used: &Key) -> Result<Option<Key>, DeviceError> {
        let is = |key: Option<&Key>| key.is_some_and(|key| key.as_bytes() == used.as_bytes());
        let (present, proposed, replaced, pending) = {
            let known = self.known();
            let record = known.paired.get(&id);
            (
                is(record.map(|record| &record.session_keys)),
                is(record.and_then(|record| record.renewal.proposed.as_ref())),
                is(record.and_then(|record| record.renewal.replaced.as_ref())),
                is(known.pending.get(&id).map(|record| &record.session_keys)),
            )
        };
        if present {
            self.drop_replaced(id).await?;
        } else if proposed {
            self.change(id, use_proposed).await?;
        } else if replaced {
            return Ok(self.present_secret(id));
        } else if pending {
            self.promote_pending(id).await?;
        }
        Ok(None)
    }

    /// Returns the present secret.
    pub fn present_secret(&self, id: DeviceId) -> Option<Key> {
        self.known().paired.get(&id).map(|record| record.session_keys.clone())
    }

    /// Returns the present secret if the other side may not use it yet. It must be told before another renewal begins.
    pub fn unconfirmed_secret(&self, id: DeviceId) -> Option<Key> {
        let known = self.known();
        let record = known.paired.get(&id).filter(|record| record.renewal.replaced.is_some())?;
        Some(record.session_keys.clone())
    }

    /// Returns the age of the present secret in seconds.
    pub fn secret_age(&self, id: DeviceId) -> Option<u64> {
        self.known().paired.get(&id).map(|record| unix_now().saturating_sub(record.renewal.since))
    }

    async fn promote_pending(&self, id: DeviceId) -> Result<(), DeviceError> {
        let _turn = self.turn.lock().await;
        let record = self.known().pending.get(&id).cloned();
        match record {
            Some(record) => self.commit_in_turn(record).await.map(drop),
            None => Ok(()),
        }
    }

    async fn drop_replaced(&self, id: DeviceId) -> Result<(), DeviceError> {
        // Called for every session, so the lock is not taken if there is nothing to do.
        if self.known().paired.get(&id).is_none_or(|record| record.renewal.replaced.is_none()) {
            return Ok(());
        }
        self.change(id, |record| record.renewal.replaced.take().is_some()).await.map(drop)
    }

    // ---- renewal: each step is stored before its message is sent ---------------------------------------------------

    /// Stores the secret with which we answer an offer.
    ///
    /// # Errors
    /// When it cannot be stored.
    pub async fn propose_secret(&self, id: DeviceId, secret: Key) -> Result<bool, DeviceError> {
        let keep = |record: &mut PersistedPairedDevice| {
            record.renewal.proposed = Some(secret);
            true
        };
        self.change(id, keep).await
    }

    /// Makes `new` the present secret in place of `old`, after our offer was answered. False if `old` is no longer the
    /// present one.
    ///
    /// # Errors
    /// When it cannot be stored.
    pub async fn use_secret(&self, id: DeviceId, old: &Key, new: Key) -> Result<bool, DeviceError> {
        let replace = |record: &mut PersistedPairedDevice| {
            if record.session_keys.as_bytes() != old.as_bytes() {
                return false;
            }
            record.renewal.replaced = Some(std::mem::replace(&mut record.session_keys, new));
            record.renewal.since = unix_now();
            true
        };
        self.change(id, replace).await
    }

    /// Handles the message that the other side uses a new secret, which `tag` proves. True if it is, or was already,
    /// ours.
    ///
    /// # Errors
    /// When it cannot be stored.
    pub async fn secret_done(&self, id: DeviceId, tag: &[u8; 32]) -> Result<bool, DeviceError> {
        let (present, proposed, pending) = {
            let known = self.known();
            let record = known.paired.get(&id);
            let holds = |key: Option<&Key>| key.is_some_and(|key| done_holds(key, tag));
            (
                holds(record.map(|record| &record.session_keys)),
                holds(record.and_then(|record| record.renewal.proposed.as_ref())),
                holds(known.pending.get(&id).map(|record| &record.session_keys)),
            )
        };
        if proposed {
            return self.change(id, use_proposed).await;
        }
        if pending {
            self.promote_pending(id).await?;
            self.drop_replaced(id).await?;
            return Ok(true);
        }
        Ok(present)
    }

    /// Drops the previous secret, after the other side confirmed the present one.
    ///
    /// # Errors
    /// When it cannot be stored.
    pub async fn secret_kept(&self, id: DeviceId) -> Result<(), DeviceError> {
        self.drop_replaced(id).await
    }

    // ---- the end of a pairing --------------------------------------------------------------------------------------

    /// Returns the notice that an unpaired device gets when it dials. `own` is the endpoint id of this device.
    pub fn notice_for(&self, endpoint_id: &[u8; 32], own: &[u8; 32]) -> Option<Vec<u8>> {
        self.known().tombstones.get(&DeviceId::of_endpoint(endpoint_id)).map(|stone| stone.notice(own))
    }

    /// Drops a tombstone, after the device has learned of the end of the pairing.
    ///
    /// # Errors
    /// When it cannot be stored.
    pub async fn drop_tombstone(&self, id: DeviceId) -> Result<(), DeviceError> {
        let _turn = self.turn.lock().await;
        if self.known().tombstones.remove(&id).is_some() {
            let key = id.as_bytes().to_vec();
            self.store.write(vec![Op::Delete { table: Table::Tombstones, key }]).await?;
        }
        Ok(())
    }

    /// Handles the notice of a device that it has ended the pairing. If the notice proves that it held the secret, the
    /// device is deleted here too, and the user is told. True in that case.
    ///
    /// # Errors
    /// When it cannot be stored.
    pub async fn unpaired_by(
        &self,
        endpoint_id: &[u8; 32],
        own: &[u8; 32],
        notice: &[u8],
    ) -> Result<bool, DeviceError> {
        let id = DeviceId::of_endpoint(endpoint_id);
        let secrets: Vec<Key> = {
            let known = self.known();
            let records = known.paired.get(&id).into_iter().chain(known.pending.get(&id));
            records.flat_map(PersistedPairedDevice::secrets).collect()
        };
        if !notice_holds(notice, &secrets, endpoint_id, own) {
            return Ok(false);
        }
        let name = self.name_of(id);
        self.unpair(id, false).await?;
        let error = ApiError::new(
            "unpaired_by_peer",
            format!("{name} has unpaired this device"),
            "Pair the two devices anew if that was not meant.",
        );
        let error = error.with("device", name);
        self.events.emit(Event::Notice { error });
        Ok(true)
    }
}

fn use_proposed(record: &mut PersistedPairedDevice) -> bool {
    let Some(new) = record.renewal.proposed.take() else { return false };
    record.session_keys = new;
    record.renewal.replaced = None;
    record.renewal.since = unix_now();
    true
}
