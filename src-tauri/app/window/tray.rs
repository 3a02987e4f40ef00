//! The tray icon and its menu. If the desktop has no tray or lacks the library there is no icon, and the window is
//! never hidden.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tauri::{
    AppHandle, Manager, Wry,
    image::Image,
    menu::{Menu, MenuItem, PredefinedMenuItem},
    tray::TrayIconBuilder,
};
use yonder_core::api::ShellEvent;

use super::quit;
use crate::{emit_to_page, text, window};

const ID: &str = "tray";
const OPEN: &str = "open";
const PAIR: &str = "pair";
const QUIT: &str = "quit";

/// Menu entries with translated labels.
struct Entries {
    open: MenuItem<Wry>,
    pair: MenuItem<Wry>,
    quit: MenuItem<Wry>,
}

/// Shows the icon, if possible.
pub fn put_up(app: &AppHandle) {
    // The library is loaded on first use, and the binding panics if it is missing. The panic leaves no inconsistent
    // state of ours.
    match catch_unwind(AssertUnwindSafe(|| build(app))) {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "no tray icon"),
        Err(_) => tracing::warn!("no tray icon: libayatana-appindicator3 is missing"),
    }
}

fn build(app: &AppHandle) -> tauri::Result<()> {
    let texts = text::spoken(app);
    let entries = Entries {
        open: MenuItem::with_id(app, OPEN, texts.open(), true, None::<&str>)?,
        pair: MenuItem::with_id(app, PAIR, texts.pair(), true, None::<&str>)?,
        quit: MenuItem::with_id(app, QUIT, texts.quit(), true, None::<&str>)?,
    };
    let menu =
        Menu::with_items(app, &[&entries.open, &entries.pair, &PredefinedMenuItem::separator(app)?, &entries.quit])?;
    TrayIconBuilder::with_id(ID)
        .icon(Image::from_bytes(include_bytes!("../../../icons/tray.png"))?)
        .tooltip("Yonder")
        .menu(&menu)
        .on_menu_event(|app, event| match event.id().as_ref() {
            OPEN => window::show(app),
            PAIR => {
                window::show(app);
                emit_to_page(app, ShellEvent::Show { view: "pair".into() });
            }
            QUIT => quit::ask(app),
            _ => {}
        })
        .build(app)?;
    app.manage(entries);
    Ok(())
}

/// Translates the menu's entries into the shell's current language.
pub fn speak(app: &AppHandle) {
    let (texts, Some(entries)) = (text::spoken(app), app.try_state::<Entries>()) else { return };
    for (entry, text) in [(&entries.open, texts.open()), (&entries.pair, texts.pair()), (&entries.quit, texts.quit())] {
        if let Err(error) = entry.set_text(text) {
            tracing::debug!(%error, "an entry of the tray's menu keeps its language");
        }
    }
}

/// True if a hidden window can be restored by the user: the icon exists, and the desktop shows it.
pub async fn can_be_seen(app: &AppHandle) -> bool {
    app.tray_by_id(ID).is_some() && watcher().await
}

/// True if a desktop watches for tray icons, without which none is visible on Linux.
#[cfg(target_os = "linux")]
async fn watcher() -> bool {
    use std::time::Duration;

    let asked = async {
        let bus = zbus::Connection::session().await.ok()?;
        let reply = bus
            .call_method(
                Some("org.freedesktop.DBus"),
                "/org/freedesktop/DBus",
                Some("org.freedesktop.DBus"),
                "NameHasOwner",
                &"org.kde.StatusNotifierWatcher",
            )
            .await
            .ok()?;
        reply.body().deserialize::<bool>().ok()
    };
    tokio::time::timeout(Duration::from_secs(1), asked).await.ok().flatten().unwrap_or(false)
}

#[cfg(not(target_os = "linux"))]
async fn watcher() -> bool {
    true
}
