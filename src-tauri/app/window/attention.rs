//! Attracts the user's attention when something waits for an answer: by the window's title, the urgency hint, and a
//! number on the icon where a dock supports it.

use tauri::{AppHandle, UserAttentionType, WebviewWindow};

/// Present state of the window's title, hint and badge.
#[derive(Default)]
pub struct Attention {
    waiting: usize,
    badge: badge::Badge,
}

impl Attention {
    /// Sets the number of waiting questions. Requests attention when the number rises while the window is not focused.
    pub async fn show(&mut self, app: &AppHandle, waiting: usize, looked_at: bool) {
        let before = std::mem::replace(&mut self.waiting, waiting);
        let Some(window) = crate::main_window(app).filter(|_| before != waiting) else { return };
        if let Err(error) = window.set_title(&title(waiting)) {
            tracing::debug!(%error, "the window keeps its title");
        }
        if waiting == 0 {
            calm(&window);
        } else if waiting > before && !looked_at {
            // Refused by window systems without such a hint; there is a notification as well.
            let _ = window.request_user_attention(Some(UserAttentionType::Informational));
        }
        self.badge.show(&window, waiting).await;
    }
}

/// Clears the urgency hint, when the user has come or nothing waits any more.
pub fn calm(window: &WebviewWindow) {
    let _ = window.request_user_attention(None);
}

fn title(waiting: usize) -> String {
    if waiting == 0 { "Yonder".into() } else { format!("({waiting}) Yonder") }
}

/// Badge on the dock's icon, by a signal on the session bus that Unity introduced; Plasma, Dash to Dock and others
/// support it, too. It lasts as long as its sender is on the bus.
#[cfg(target_os = "linux")]
mod badge {
    use std::{collections::HashMap, time::Duration};

    use tauri::WebviewWindow;
    use zbus::{Connection, Variant};

    /// Desktop entry that a package installs.
    const ENTRY: &str = "application://Yonder.desktop";
    /// Time limit for the bus: one that does not answer must not block the notifications.
    const BUS_TIMEOUT: Duration = Duration::from_secs(2);

    #[derive(Default)]
    pub(super) struct Badge {
        bus: Option<Connection>,
    }

    impl Badge {
        pub(super) async fn show(&mut self, _window: &WebviewWindow, waiting: usize) {
            let told = tokio::time::timeout(BUS_TIMEOUT, self.set_count(waiting)).await;
            if !matches!(told, Ok(Ok(()))) {
                tracing::debug!(?told, "no number on the icon");
            }
        }

        async fn set_count(&mut self, waiting: usize) -> zbus::Result<()> {
            let bus = match &self.bus {
                Some(bus) => bus,
                None => self.bus.insert(Connection::session().await?),
            };
            let count = i64::try_from(waiting).unwrap_or(i64::MAX);
            let shown = HashMap::from([
                ("count", Variant::from(count)),
                ("count-visible", Variant::from(waiting > 0)),
                ("urgent", Variant::from(waiting > 0)),
            ]);
            let to: Option<&str> = None;
            let (path, interface) = ("/com/canonical/unity/launcherentry/yonder", "com.canonical.Unity.LauncherEntry");
            bus.emit_signal(to, path, interface, "Update", &(ENTRY, shown)).await
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod badge {
    use tauri::WebviewWindow;

    #[derive(Default)]
    pub(super) struct Badge;

    impl Badge {
        pub(super) async fn show(&mut self, window: &WebviewWindow, waiting: usize) {
            // Windows has no numbers on icons; its taskbar button flashes.
            let _ = window.set_badge_count((waiting > 0).then(|| i64::try_from(waiting).unwrap_or(i64::MAX)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_title_counts_what_waits() {
        assert_eq!(title(0), "Yonder");
        assert_eq!(title(3), "(3) Yonder");
    }
}
