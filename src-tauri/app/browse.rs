//! Opens web addresses from texts of other people in the system's browser, after checking them once more.

use tauri::{AppHandle, Url};
use tauri_plugin_opener::OpenerExt;
use yonder_core::api::ApiError;

use crate::commands::error;

/// Maximum length of an address in bytes.
const LONGEST: usize = 2048;

/// Opens an address in the browser. Runs outside the window's thread, because starting the browser may take time.
pub async fn open(app: &AppHandle, address: &str) -> Result<(), ApiError> {
    let url = plain(address).ok_or_else(|| {
        error(
            "link_not_plain",
            "this is not a plain web address",
            "Copy it, and look at it before you open it elsewhere.",
        )
    })?;
    let app = app.clone();
    let opened = tauri::async_runtime::spawn_blocking(move || app.opener().open_url(url.as_str(), None::<&str>));
    match opened.await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(cause)) => Err(no_browser(&cause.to_string())),
        Err(_) => Err(no_browser("it was interrupted")),
    }
}

fn no_browser(cause: &str) -> ApiError {
    error("browser", &format!("no browser could be opened: {cause}"), "Copy the address and open it yourself.")
        .with("detail", cause)
}

/// Parses a plain web address: no script or file, no user name or password that could pose as the host, and no
/// characters with another meaning than they show.
fn plain(address: &str) -> Option<Url> {
    let looks =
        |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\'' | '<' | '>' | '`' | '\\' | '{' | '}' | '|' | '^');
    if address.len() > LONGEST || !address.chars().all(looks) {
        return None;
    }
    let url = address.parse::<Url>().ok()?;
    let web = matches!(url.scheme(), "http" | "https");
    let named = url.host_str().is_some_and(|host| !host.is_empty());
    (web && named && url.username().is_empty() && url.password().is_none()).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_addresses_of_the_web_are_opened() {
        for address in [
            "https://example.org/",
            "http://10.0.0.7:8080/a?b=c#d",
            "https://xn--mnchen-3ya.de/x%20y",
            "HTTPS://EXAMPLE.ORG",
        ] {
            assert!(plain(address).is_some(), "{address}");
        }
    }

    #[test]
    fn whatever_else_is_refused() {
        for address in [
            "",
            "example.org",
            "file:///etc/passwd",
            "javascript:alert(1)",
            "data:text/html,x",
            "yonder:pair?s=x",
            "https://",
            "https://bank.example@evil.example/",
            "https://:secret@evil.example/",
            "https://example.org/a b",
            "https://example.org/\u{202e}gpj.exe",
            "https://b\u{fc}cher.example/",
            "https://example.org/\n--help",
            "https://example.org/$(reboot)'",
            "--help",
            "ftp://example.org/",
            "https:\\\\example.org",
            &format!("https://example.org/{}", "x".repeat(LONGEST)),
        ] {
            assert!(plain(address).is_none(), "{address}");
        }
    }
}
