//! Runs one examination at a time, whoever asks.

use std::sync::{Arc, Mutex};

use tokio::sync::watch;

use super::{NetworkingService, Tell};
use crate::{
    api::{Args, DoctorReport, Event},
    clock::Locked as _,
    error::{NetworkError, RoomError},
    id::DeviceId,
};

/// Reasons for which an examination is refused.
#[derive(Debug, thiserror::Error)]
pub(in crate::service) enum DoctorError {
    /// A different subject is being examined.
    #[error("another examination is under way")]
    Busy,
}

impl RoomError for DoctorError {
    fn code(&self) -> &'static str {
        "doctor_busy"
    }

    fn hint(&self) -> String {
        "It takes ten seconds at most; then ask again.".into()
    }

    fn args(&self) -> Args {
        Args::new()
    }
}

/// The current examination, if there is one.
#[derive(Default)]
pub(in crate::service) struct DoctorController(Mutex<Option<UnderWay>>);

struct UnderWay {
    subject: Option<DeviceId>,
    report: watch::Receiver<Option<Arc<DoctorReport>>>,
}

impl DoctorController {
    /// Joins the current examination of this subject, or registers a new one. For a new one the sender half is returned
    /// too, and the caller must run it.
    #[allow(clippy::type_complexity, reason = "a pair of channel ends")]
    fn join(
        &self,
        subject: Option<DeviceId>,
    ) -> Result<
        (watch::Receiver<Option<Arc<DoctorReport>>>, Option<watch::Sender<Option<Arc<DoctorReport>>>>),
        DoctorError,
    > {
        let mut under_way = self.0.locked();
        // If the sender is dropped, the examination has ended.
        if let Some(running) = under_way.as_ref().filter(|running| running.report.has_changed().is_ok()) {
            return if running.subject == subject {
                Ok((running.report.clone(), None))
            } else {
                Err(DoctorError::Busy)
            };
        }
        let (tell, report) = watch::channel(None);
        *under_way = Some(UnderWay { subject, report: report.clone() });
        Ok((report, Some(tell)))
    }
}

impl NetworkingService {
    /// Examines the node as a whole, or every path to one device.
    ///
    /// # Errors
    /// When there is no such device, or something else is being examined.
    pub(in crate::service) async fn doctor(&self, device: Option<&str>) -> Result<DoctorReport, NetworkError> {
        let subject = device.map(|device| self.0.devices.find_paired(device)).transpose()?.map(|view| view.device_id);
        let (mut report, other_half) = self.0.doctor.join(subject)?;
        if let Some(tell_report) = other_half {
            let node = self.clone();
            let events = self.0.events.clone();
            let tell: Tell =
                Arc::new(move |check| events.emit(Event::DoctorCheck { device: subject, check: check.clone() }));
            // The task ends with the node, and continues if its first caller is gone: others may have joined.
            tokio::spawn(async move {
                let done = tokio::select! {
                    done = node.examine(subject, tell) => Some(Arc::new(done)),
                    () = node.stopped() => None,
                };
                tell_report.send_replace(done);
            });
        }
        match report.wait_for(Option::is_some).await {
            Ok(done) => done.as_deref().cloned().ok_or(NetworkError::ShuttingDown),
            Err(_) => Err(NetworkError::ShuttingDown),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_the_same_joins_and_who_asks_otherwise_is_refused() {
        let controller = DoctorController::default();
        let (_first, other_half) = controller.join(None).unwrap();
        assert!(controller.join(None).unwrap().1.is_none());
        let error = controller.join(Some(DeviceId::of_endpoint(&[1; 32]))).unwrap_err();
        assert_eq!(error.code(), "doctor_busy");
        assert!(!error.hint().is_empty());
        drop(other_half);
        assert!(
            controller.join(Some(DeviceId::of_endpoint(&[1; 32]))).unwrap().1.is_some(),
            "one that ended is no hindrance"
        );
    }
}
