//! Errors of pairing as errors of the core.

use super::PairingError;
use crate::error::RoomError;

impl RoomError for PairingError {
    fn code(&self) -> &'static str {
        self.code()
    }

    fn hint(&self) -> String {
        self.hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::NetworkError;

    #[test]
    fn an_error_of_pairing_keeps_its_code_and_hint() {
        let error = NetworkError::from(PairingError::CodeBurnt);
        assert_eq!((error.code(), error.hint()), ("code_burnt", PairingError::CodeBurnt.hint()));
        assert_eq!(error.room(), Some(&PairingError::CodeBurnt));
    }
}
