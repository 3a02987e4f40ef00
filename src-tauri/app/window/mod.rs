//! The window: how it opens, shows and closes.

pub(crate) mod attention;
mod context_menu;
pub(crate) mod drop;
pub(crate) mod quit;
pub(crate) mod tray;
pub(crate) mod web_data;

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use tauri::{
    App, AppHandle, Manager, Theme, Url, WebviewWindowBuilder, WindowEvent, webview::NewWindowResponse, window::Color,
};

use self::web_data::WebData;
use crate::MAIN;

/// Time after which a page that has not reported readiness is shown as it is: something is wrong, and the user should
/// see that rather than nothing.
const READY_TIMEOUT: Duration = Duration::from_millis(1500);

/// Background of the page in its two themes, so that nothing flashes before it has drawn.
const LIGHT: Color = Color(0xed, 0xf1, 0xf3, 0xff);
const DARK: Color = Color(0x0b, 0x12, 0x17, 0xff);

/// State of the window, and the start time of the app.
pub struct Shown {
    started: Instant,
    once: AtomicBool,
    focused: AtomicBool,
}

impl Shown {
    /// Creates the state of a window that is not shown yet.
    pub fn since(started: Instant) -> Self {
        Self { started, once: AtomicBool::new(false), focused: AtomicBool::new(false) }
    }

    /// True if the window is focused, so that no notification is needed.
    pub fn is_focused(&self) -> bool {
        self.focused.load(Ordering::Relaxed)
    }
}

/// Checks that there is a display for the window.
///
/// # Errors
/// When the toolkit finds no display.
pub fn screen() -> Result<(), String> {
    #[cfg(target_os = "linux")]
    if gtk::init().is_err() {
        return Err("there is no display, neither in DISPLAY nor in WAYLAND_DISPLAY".into());
    }
    Ok(())
}

/// Creates the hidden window, and loads the page.
pub fn open(app: &mut App) -> tauri::Result<()> {
    let config = app.config().app.windows.iter().find(|window| window.label == MAIN).cloned();
    let config = config.ok_or(tauri::Error::WindowNotFound)?;
    let web_data = app.state::<WebData>().folder(app.handle())?;
    let window = WebviewWindowBuilder::from_config(app.handle(), &config)?
        .data_directory(web_data)
        // Navigation is restricted to the page itself: no link, form or script may lead elsewhere.
        .on_navigation(is_page)
        .on_new_window(|_, _| NewWindowResponse::Deny)
        .build()?;
    context_menu::restrict(&window);
    let background = if matches!(window.theme(), Ok(Theme::Dark)) { DARK } else { LIGHT };
    if let Err(error) = window.set_background_color(Some(background)) {
        tracing::debug!(%error, "no background colour");
    }
    let handle = app.handle().clone();
    window.on_window_event(move |event| on_event(&handle, event));
    let app = app.handle().clone();
    thread::spawn(move || {
        thread::sleep(READY_TIMEOUT);
        reveal(&app);
    });
    Ok(())
}

/// Shows the window for the first time. Later calls do nothing, so that a page cannot bring itself to the front.
pub fn reveal(app: &AppHandle) {
    let shown = app.state::<Shown>();
    if !shown.once.swap(true, Ordering::AcqRel) {
        show(app);
        tracing::info!(milliseconds = shown.started.elapsed().as_millis() as u64, "window shown");
    }
}

/// Brings the window to the front.
pub fn show(app: &AppHandle) {
    let Some(window) = crate::main_window(app) else { return };
    // A window system may not support one of these; only showing the window matters.
    let _ = window.unminimize();
    if let Err(error) = window.show() {
        tracing::warn!(%error, "the window could not be shown");
    }
    let _ = window.set_focus();
}

fn on_event(app: &AppHandle, event: &WindowEvent) {
    match event {
        WindowEvent::DragDrop(event) => drop::on_drag(app, event),
        WindowEvent::Focused(focused) => {
            app.state::<Shown>().focused.store(*focused, Ordering::Relaxed);
            if let Some(window) = crate::main_window(app).filter(|_| *focused) {
                attention::calm(&window);
            }
        }
        WindowEvent::CloseRequested { api, .. } => {
            api.prevent_close();
            let app = app.clone();
            // The visibility of the tray icon is queried over D-Bus, which must not block the window's thread.
            tauri::async_runtime::spawn(async move { close(&app).await });
        }
        _ => {}
    }
}

/// Hides the window if a tray icon can restore it, else asks to quit.
async fn close(app: &AppHandle) {
    if tray::can_be_seen(app).await {
        if let Some(window) = crate::main_window(app) {
            let _ = window.hide();
        }
    } else {
        quit::ask(app);
    }
}

/// True for the app's own page, or Vite's in development.
fn is_page(url: &Url) -> bool {
    match (url.scheme(), url.host_str()) {
        ("tauri", Some("localhost")) | ("http" | "https", Some("tauri.localhost")) => true,
        ("http", Some("localhost")) => tauri::is_dev(),
        _ => false,
    }
}

/// Quits the app cleanly when the session or a user at a terminal sends a signal.
pub fn quit_on_signal(app: &AppHandle) {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let app = app.clone();
        tauri::async_runtime::spawn(async move {
            let outlives_terminal = yonder_core::service::hangup_is_ignored();
            let hangup = if outlives_terminal { SignalKind::terminate() } else { SignalKind::hangup() };
            let (Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)) =
                (signal(SignalKind::interrupt()), signal(SignalKind::terminate()), signal(hangup))
            else {
                return;
            };
            tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {}, _ = hangup.recv() => {} }
            app.exit(0);
        });
    }
    #[cfg(not(unix))]
    let _ = app;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_stays_on_its_page() {
        let is = |url: &str| is_page(&url.parse().unwrap());
        assert!(is("tauri://localhost/index.html"));
        assert!(is("http://tauri.localhost/"));
        for foreign in ["https://example.org/", "http://localhost.example.org/", "file:///etc/passwd", "tauri://other/"]
        {
            assert!(!is(foreign), "{foreign}");
        }
    }
}
