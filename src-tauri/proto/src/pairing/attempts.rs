//! Limits the attempts at a shown code. All connections that try a code share one [`HostCode`] under one lock, so that
//! fifty at once have no more attempts than one.

use std::{fmt, time::Duration};

use super::{
    Entropy, LinkSecret, PairingCode, PairingError,
    pake::{Method, Password},
};

/// Lifetime of a code.
pub const CODE_LIFETIME: Duration = Duration::from_secs(5 * 60);

/// Maximum number of attempts at a code, over all peers and connections.
pub const MAX_ATTEMPTS: u8 = 3;

/// Maximum number of hosts on which a joiner tries a code, because each attempt gives the host one guess at it.
pub const MAX_HOSTS_PER_CODE: usize = 3;

/// Status of a shown code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeStatus {
    /// The code may be tried.
    Open {
        /// Number of wrong codes that may still be tried.
        attempts_left: u8,
        /// Time until it expires.
        expires_in: Duration,
    },
    /// A joiner has proven the code.
    Used,
    /// Three wrong codes were tried.
    Burnt,
    /// The code's lifetime is over.
    Expired,
}

/// A shown code: its two secrets, its expiry, and the attempts. Pure: time is passed in.
pub struct HostCode {
    code: PairingCode,
    link: LinkSecret,
    expires: Duration,
    attempts_left: u8,
    used: bool,
}

/// Hosts on which a joiner has tried a code: at most three different ones, however they were found and however often
/// the user starts again. A host that was tried may be tried again.
#[derive(Clone, Debug, Default)]
pub struct HostsTried(Vec<[u8; 32]>);

impl HostsTried {
    /// True if the code may be tried on the host with this endpoint id, which then counts as tried.
    pub fn admit(&mut self, host: &[u8; 32]) -> bool {
        if self.0.contains(host) {
            return true;
        }
        if self.0.len() >= MAX_HOSTS_PER_CODE {
            return false;
        }
        self.0.push(*host);
        true
    }

    /// True if no further host may be tried.
    pub fn is_full(&self) -> bool {
        self.0.len() >= MAX_HOSTS_PER_CODE
    }
}

/// Permission to check one confirmation. The attempt is counted already; [`HostCode::settle`] records the result.
#[derive(Debug)]
#[must_use = "an attempt is settled once the confirmation has been checked"]
pub struct Attempt(());

impl HostCode {
    /// Generates a code of three words and a link secret, valid from `now`.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn generate(now: Duration, entropy: &mut dyn Entropy) -> Result<Self, PairingError> {
        Ok(Self::new(now, PairingCode::generate(entropy)?, LinkSecret::generate(entropy)?))
    }

    /// Generates a code of five words and a link secret, valid from `now`.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn generate_long(now: Duration, entropy: &mut dyn Entropy) -> Result<Self, PairingError> {
        Ok(Self::new(now, PairingCode::generate_long(entropy)?, LinkSecret::generate(entropy)?))
    }

    /// Creates a shown code from these secrets, valid from `now`.
    pub fn new(now: Duration, code: PairingCode, link: LinkSecret) -> Self {
        let expires = now.saturating_add(CODE_LIFETIME);
        Self { code, link, expires, attempts_left: MAX_ATTEMPTS, used: false }
    }

    /// Returns the words to show.
    pub fn code(&self) -> &PairingCode {
        &self.code
    }

    /// Returns the secret of the link.
    pub fn link_secret(&self) -> &LinkSecret {
        &self.link
    }

    /// Returns the present status.
    pub fn status(&self, now: Duration) -> CodeStatus {
        if self.used {
            CodeStatus::Used
        } else if self.attempts_left == 0 {
            CodeStatus::Burnt
        } else if now >= self.expires {
            CodeStatus::Expired
        } else {
            CodeStatus::Open { attempts_left: self.attempts_left, expires_in: self.expires.saturating_sub(now) }
        }
    }

    /// Checks that the code may be tried now.
    ///
    /// # Errors
    /// [`PairingError::CodeUsed`], [`PairingError::CodeBurnt`] or [`PairingError::CodeExpired`].
    pub fn check_open(&self, now: Duration) -> Result<(), PairingError> {
        match self.status(now) {
            CodeStatus::Open { .. } => Ok(()),
            CodeStatus::Used => Err(PairingError::CodeUsed),
            CodeStatus::Burnt => Err(PairingError::CodeBurnt),
            CodeStatus::Expired => Err(PairingError::CodeExpired),
        }
    }

    /// Counts an attempt, before anything is checked: a peer that cuts the connection has still used it up.
    ///
    /// # Errors
    /// When the code is not open. Nothing is counted then, and nothing may be checked.
    pub fn take_attempt(&mut self, now: Duration) -> Result<Attempt, PairingError> {
        self.check_open(now)?;
        self.attempts_left = self.attempts_left.saturating_sub(1);
        Ok(Attempt(()))
    }

    /// Records the result of an attempt. A right code is used up.
    ///
    /// # Errors
    /// [`PairingError::CodeWrong`], [`PairingError::CodeBurnt`] if that was the last attempt, and
    /// [`PairingError::CodeUsed`] if another joiner proved the code in the meantime.
    pub fn settle(&mut self, attempt: Attempt, right: bool) -> Result<(), PairingError> {
        let Attempt(()) = attempt;
        if self.used {
            return Err(PairingError::CodeUsed);
        }
        if right {
            self.used = true;
            return Ok(());
        }
        if self.attempts_left == 0 { Err(PairingError::CodeBurnt) } else { Err(PairingError::CodeWrong) }
    }

    /// Returns the number of wrong codes that may still be tried.
    pub fn attempts_left(&self) -> u8 {
        self.attempts_left
    }

    pub(super) fn password(&self, method: Method) -> Password {
        match method {
            Method::Words => Password::of_words(&self.code),
            Method::Link => Password::of_link(&self.link),
        }
    }
}

impl fmt::Debug for HostCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostCode")
            .field("expires", &self.expires)
            .field("attempts_left", &self.attempts_left)
            .field("used", &self.used)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pairing::tests::Seeded;

    const START: Duration = Duration::from_secs(1000);

    fn code() -> HostCode {
        HostCode::generate(START, &mut Seeded::new(1, "code")).unwrap()
    }

    #[test]
    fn three_wrong_attempts_burn_it() {
        let mut code = code();
        for (left, error) in [(2, PairingError::CodeWrong), (1, PairingError::CodeWrong), (0, PairingError::CodeBurnt)]
        {
            let attempt = code.take_attempt(START).unwrap();
            assert_eq!(code.settle(attempt, false), Err(error));
            assert_eq!(code.attempts_left(), left);
        }
        assert_eq!(code.take_attempt(START).unwrap_err(), PairingError::CodeBurnt);
        assert_eq!(code.status(START), CodeStatus::Burnt);
    }

    #[test]
    fn attempts_that_are_never_settled_count() {
        let mut code = code();
        for _ in 0..MAX_ATTEMPTS {
            drop(code.take_attempt(START).unwrap());
        }
        assert_eq!(code.take_attempt(START).unwrap_err(), PairingError::CodeBurnt);
    }

    #[test]
    fn the_right_one_uses_it_up_even_as_the_last() {
        let mut code = code();
        for right in [false, false, true] {
            let attempt = code.take_attempt(START).unwrap();
            assert_eq!(code.settle(attempt, right).is_ok(), right);
        }
        assert_eq!(code.take_attempt(START).unwrap_err(), PairingError::CodeUsed);
    }

    #[test]
    fn of_two_that_prove_at_once_one_wins() {
        let mut code = code();
        let (one, two) = (code.take_attempt(START).unwrap(), code.take_attempt(START).unwrap());
        assert_eq!(code.settle(two, true), Ok(()));
        assert_eq!(code.settle(one, true), Err(PairingError::CodeUsed));
    }

    #[test]
    fn it_expires_by_the_time_that_it_is_told() {
        let mut code = code();
        let end = START + CODE_LIFETIME;
        let open = |expires_in| CodeStatus::Open { attempts_left: MAX_ATTEMPTS, expires_in };
        assert_eq!(code.status(START), open(CODE_LIFETIME));
        assert_eq!(code.status(end - Duration::from_secs(1)), open(Duration::from_secs(1)));
        assert!(code.check_open(end - Duration::from_nanos(1)).is_ok());
        assert_eq!(code.take_attempt(end).unwrap_err(), PairingError::CodeExpired);
        assert_eq!(code.attempts_left(), MAX_ATTEMPTS);
        assert_eq!(code.status(end), CodeStatus::Expired);
    }

    #[test]
    fn a_code_is_tried_on_three_hosts_and_no_fourth() {
        let mut tried = HostsTried::default();
        for (host, full) in [(1, false), (2, false), (1, false), (3, true), (2, true)] {
            assert!(tried.admit(&[host; 32]), "{host}");
            assert_eq!(tried.is_full(), full, "{host}");
        }
        assert!(!tried.admit(&[4; 32]) && tried.admit(&[3; 32]));
    }

    #[test]
    fn debug_hides_words_and_secret() {
        let code = code();
        let shown = format!("{code:?}");
        assert!(shown.starts_with("HostCode {"), "{shown}");
        for word in code.code().words() {
            assert!(
                !shown.contains(word) || "HostCode expires attempts_left used true false".contains(word),
                "{shown}"
            );
        }
        assert!(!shown.contains(&format!("{:?}", code.link_secret().as_bytes())));
    }
}
