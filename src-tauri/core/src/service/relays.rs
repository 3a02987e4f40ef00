//! Relays: the settings of the user, and their status.

use tokio::sync::{broadcast, broadcast::error::RecvError};
use zeroize::Zeroizing;

use super::NetworkingService;
use crate::{
    api::{Event, NumberedEvent, RelayView, SecretText, Settings},
    error::{InputError, NetworkError},
    net::{Net, RelayError, RelayStatus, RelayUrl},
};

/// Maximum number of custom relays. More than anybody runs; each is probed from time to time.
const MOST_RELAYS: usize = 8;
const LONGEST_URL: usize = 256;
const LONGEST_TOKEN: usize = 512;

impl NetworkingService {
    /// Returns the status of the relays, the home relay first. With `probe`, permitted relays are measured first, for
    /// at most 3 s.
    pub async fn relays(&self, probe: bool) -> Vec<RelayView> {
        let Some(net) = self.0.net.get() else { return Vec::new() };
        let relays = if probe { net.probe_relays().await } else { net.relays() };
        relays.iter().map(view).collect()
    }

    /// Stores or deletes the token for custom relays. A relay that refused the old token is tried with the new one at
    /// once.
    ///
    /// # Errors
    /// When the text cannot be a token.
    pub async fn set_relay_token(&self, token: Option<SecretText>) -> Result<Settings, NetworkError> {
        let settings = self.0.settings.clone().set_token(token).await?;
        self.use_servers()?;
        self.0.events.emit(Event::Settings { settings: settings.clone() });
        Ok(settings)
    }

    /// Applies the server settings to the running network.
    fn use_servers(&self) -> Result<(), NetworkError> {
        match self.0.net.get() {
            Some(net) => net.use_servers(&self.0.settings.servers(self.0.options.endpoint())),
            None => Ok(()),
        }
    }

    /// Applies changed server settings while the node runs.
    pub(super) async fn follow_servers(self, mut events: broadcast::Receiver<NumberedEvent>) {
        loop {
            match events.recv().await {
                Ok(event) if !matches!(event.event, Event::Settings { .. }) => {}
                // After a gap, the lost events may have included a change of the settings.
                Ok(_) | Err(RecvError::Lagged(_)) => {
                    if let Err(error) = self.use_servers() {
                        self.0.events.emit(Event::Notice { error: error.into() });
                    }
                }
                Err(RecvError::Closed) => break,
            }
        }
    }

    /// Emits the relays' status when it changes, and a notice when a relay refuses this device.
    pub(super) async fn watch_relays(self, net: Net) {
        let mut changes = net.watch_relays();
        let mut refused: Vec<RelayUrl> = Vec::new();
        while changes.changed().await.is_ok() {
            let now = changes.borrow_and_update().clone();
            net.leave_silent_relays();
            let refusing = |relay: &&RelayStatus| matches!(relay.error, Some(RelayError::Refused { .. }));
            for relay in now.iter().filter(refusing).filter(|relay| !refused.contains(&relay.url)) {
                if let Some(error) = relay.error.clone() {
                    self.0.events.emit(Event::Notice { error: NetworkError::from(error).into() });
                }
            }
            refused = now.iter().filter(refusing).map(|relay| relay.url.clone()).collect();
            self.0.events.emit(Event::Relays { relays: now.iter().map(view).collect() });
        }
    }
}

fn view(relay: &RelayStatus) -> RelayView {
    let millis = |latency: std::time::Duration| u32::try_from(latency.as_millis()).unwrap_or(u32::MAX);
    RelayView {
        url: relay.url.to_string(),
        own: relay.own,
        chosen: relay.chosen,
        home: relay.home,
        connected: relay.connected,
        latency_ms: relay.latency.map(millis),
        error: relay.error.clone().map(|error| NetworkError::from(error).into()),
    }
}

/// Parses a list of relay URLs into normal form, without duplicates. Pure.
pub(super) fn checked_relays(text: &str) -> Result<Vec<String>, NetworkError> {
    let mut relays = Vec::new();
    for word in text.split([' ', ',', '\t', '\n', '\r']).filter(|word| !word.is_empty()) {
        if word.len() > LONGEST_URL {
            return Err(InputError::RelayUrlLong.into());
        }
        let wrong = |detail: String| InputError::RelayUrl { text: word.into(), detail };
        let url: RelayUrl = word.parse().map_err(|error: iroh::RelayUrlParseError| wrong(error.to_string()))?;
        let plain = url.scheme() == "https" && url.has_host() && url.query().is_none() && url.fragment().is_none();
        if !plain || !url.username().is_empty() || url.password().is_some() {
            return Err(InputError::RelayTls(word.into()).into());
        }
        let url = url.to_string();
        if !relays.contains(&url) {
            relays.push(url);
        }
    }
    if relays.len() > MOST_RELAYS {
        return Err(InputError::RelayCount { count: relays.len() as u64, most: MOST_RELAYS as u64 }.into());
    }
    Ok(relays)
}

/// Checks that a token can be sent in an HTTP header. Pure.
pub(super) fn checked_token(token: SecretText) -> Result<SecretText, NetworkError> {
    let text = token.into_inner();
    let trimmed = Zeroizing::new(text.trim().to_owned());
    if trimmed.is_empty() || trimmed.len() > LONGEST_TOKEN || !trimmed.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(InputError::RelayToken.into());
    }
    Ok(SecretText::new(trimmed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relays_are_read_from_a_text_and_nonsense_is_refused() {
        assert_eq!(checked_relays("  ").unwrap(), Vec::<String>::new());
        let two = checked_relays("https://a.example\nhttps://b.example:8443/, https://A.example/").unwrap();
        assert_eq!(two, ["https://a.example/", "https://b.example:8443/"]);
        let many = (0..9).map(|n| format!("https://r{n}.example ")).collect::<String>();
        let long = format!("https://{}.example", "a".repeat(300));
        for wrong in ["relay", "http://a.example", "https://", "https://a.example/?x", "https://u:p@a", &many, &long] {
            let error = checked_relays(wrong).unwrap_err();
            assert_eq!(error.code(), "invalid_input", "{wrong}");
            assert!(!error.hint().is_empty(), "{wrong}");
        }
    }

    #[test]
    fn tokens_fit_into_a_line_and_do_not_show_in_errors() {
        let token = |text: &str| checked_token(SecretText::new(Zeroizing::new(text.into())));
        assert_eq!(*token(" s3cret!\n").unwrap().into_inner(), "s3cret!");
        for wrong in ["", "  ", "two words", "line\nfeed", "ümlaut", &"x".repeat(513)] {
            let error = token(wrong).unwrap_err();
            assert_eq!(error.code(), "invalid_input");
            assert!(wrong.trim().is_empty() || !error.to_string().contains(wrong));
        }
    }
}
