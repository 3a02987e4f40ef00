//! The doctor.

use super::NetworkingService;
use crate::{api::DoctorReport, error::NetworkError};

impl NetworkingService {
    pub(super) async fn doctor(&self, device: Option<&str>) -> Result<DoctorReport, NetworkError> {
        if let Some(device) = device {
            self.0.devices.find_paired(device)?;
        }
        Ok(DoctorReport {
            checks: Vec::new(),
            connections: Vec::new(),
            report: String::new(),
            logs: String::new(),
            took_ms: 0,
        })
    }
}
