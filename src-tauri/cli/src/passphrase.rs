//! The passphrase of the encrypted file: from the environment, or from the person at the terminal.

use yonder_core::identity::AskPassphrase;
use zeroize::Zeroizing;

/// Asks `YONDER_PASSPHRASE`, then the terminal.
pub struct FromPerson;

impl AskPassphrase for FromPerson {
    fn passphrase(&self, new: bool) -> Option<Zeroizing<String>> {
        if let Ok(given) = std::env::var("YONDER_PASSPHRASE") {
            return Some(Zeroizing::new(given));
        }
        if !std::io::IsTerminal::is_terminal(&std::io::stdin()) {
            return None;
        }
        terminal::remember();
        let ask = |prompt: &str| rpassword::prompt_password(prompt).map(Zeroizing::new).ok();
        if !new {
            return ask("Passphrase of this device's secret: ");
        }
        eprintln!("There is no keychain here, so this device's secret will be kept in a file under a passphrase.");
        for _ in 0..3 {
            let first = ask("New passphrase: ")?;
            if *first == *ask("The same again: ")? {
                return Some(first);
            }
            eprintln!("They differ.");
        }
        None
    }
}

/// Lets the terminal show what is typed again, if we end while a passphrase is asked for.
pub fn restore_terminal() {
    terminal::restore();
}

#[cfg(unix)]
mod terminal {
    use std::{fs::File, sync::OnceLock};

    use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

    static BEFORE: OnceLock<(File, Termios)> = OnceLock::new();

    pub fn remember() {
        if BEFORE.get().is_some() {
            return;
        }
        if let Ok(file) = File::options().read(true).write(true).open("/dev/tty")
            && let Ok(state) = tcgetattr(&file)
        {
            // Somebody else may have been faster, with the same.
            let _ = BEFORE.set((file, state));
        }
    }

    pub fn restore() {
        if let Some((file, state)) = BEFORE.get() {
            // If the terminal is gone, nobody sees it either.
            let _ = tcsetattr(file, OptionalActions::Now, state);
        }
    }
}

#[cfg(not(unix))]
mod terminal {
    pub fn remember() {}
    pub fn restore() {}
}
