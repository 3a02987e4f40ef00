//! Passphrases, from the environment or from the user at the terminal. Never from the arguments, which every user of
//! the machine can read.

use std::sync::Mutex;

use yonder_core::identity::{AskPassphrase, MIN_BACKUP_PASSPHRASE};
use zeroize::Zeroizing;

use crate::{environment::secret, failure::Failure};
use yonder_core::clock::Locked as _;

/// Takes the passphrase from `YONDER_PASSPHRASE`, else from the terminal.
pub struct FromPerson;

impl AskPassphrase for FromPerson {
    fn passphrase(&self, new: bool) -> Option<Zeroizing<String>> {
        if let Some(given) = secret("YONDER_PASSPHRASE") {
            return Some(given);
        }
        if !new {
            return ask("Passphrase of this device's secret: ");
        }
        if can_ask() {
            eprintln!(
                "This device's secret will be kept in a file, encrypted under a passphrase, and not in a keychain."
            );
        }
        ask_twice("New passphrase: ")
    }
}

/// Like [`FromPerson`], but asks only once.
#[derive(Default)]
pub struct Remembered(Mutex<Option<Zeroizing<String>>>);

impl AskPassphrase for Remembered {
    fn passphrase(&self, new: bool) -> Option<Zeroizing<String>> {
        let mut kept = self.0.locked();
        if kept.is_none() {
            *kept = FromPerson.passphrase(new);
        }
        kept.clone()
    }
}

/// Returns the new passphrase of the encrypted file: from `YONDER_NEW_PASSPHRASE`, from `YONDER_PASSPHRASE` if that is
/// unambiguous (`one_will_do`), or from the terminal, entered twice.
pub fn new_of_file(one_will_do: bool) -> Option<Zeroizing<String>> {
    secret("YONDER_NEW_PASSPHRASE")
        .or_else(|| secret("YONDER_PASSPHRASE").filter(|_| one_will_do))
        .or_else(|| ask_twice("New passphrase of this device's secret: "))
}

/// Returns the passphrase of a backup: from `YONDER_BACKUP_PASSPHRASE` or the terminal. With `new` it is entered twice,
/// and must be long enough.
pub fn of_backup(new: bool) -> Result<Zeroizing<String>, Failure> {
    let given = secret("YONDER_BACKUP_PASSPHRASE").or_else(|| match new {
        true => {
            if can_ask() {
                eprintln!(
                    "The backup will be encrypted under a passphrase of at least {MIN_BACKUP_PASSPHRASE} characters."
                );
            }
            ask_twice("Passphrase of the backup: ")
        }
        false => ask("Passphrase of the backup: "),
    });
    given.ok_or_else(|| {
        Failure::failed(
            "backup_passphrase_needed",
            "the backup's passphrase is needed",
            "Set YONDER_BACKUP_PASSPHRASE, or run it in a terminal to be asked.",
        )
    })
}

/// Returns a relay's token from the terminal or a line of stdin; `None` if it is empty.
pub fn relay_token() -> Result<Option<Zeroizing<String>>, Failure> {
    let text = match can_ask() {
        true => ask("Token for your relays (leave empty to delete the stored one): ").unwrap_or_default(),
        false => {
            let mut line = Zeroizing::new(String::with_capacity(1 << 10));
            let read =
                std::io::BufRead::read_line(&mut std::io::Read::take(std::io::stdin().lock(), 1 << 10), &mut line);
            read.map_err(|error| {
                Failure::usage(format!("stdin could not be read as text: {error}"), "Pipe a line of text in.")
            })?;
            line
        }
    };
    let text = Zeroizing::new(text.trim().to_owned());
    Ok(Some(text).filter(|text| !text.is_empty()))
}

/// Returns the token for custom relays in this run, from `YONDER_RELAY_TOKEN`.
pub fn relay_token_of_this_run() -> Option<Zeroizing<String>> {
    secret("YONDER_RELAY_TOKEN").filter(|token| !token.is_empty())
}

fn can_ask() -> bool {
    std::io::IsTerminal::is_terminal(&std::io::stdin())
}

fn ask(prompt: &str) -> Option<Zeroizing<String>> {
    if !can_ask() {
        return None;
    }
    terminal::remember();
    rpassword::prompt_password(prompt).map(Zeroizing::new).ok()
}

fn ask_twice(prompt: &str) -> Option<Zeroizing<String>> {
    for _ in 0..3 {
        let first = ask(prompt)?;
        if *first == *ask("Repeat the passphrase: ")? {
            return Some(first);
        }
        eprintln!("The passphrases differ.");
    }
    None
}

/// Restores the terminal's echo, if the program ends during a prompt.
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
            // Another thread may have stored the same value first.
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
