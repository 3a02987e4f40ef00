//! Restricts the web view's context menu to editing functions in text fields.
//!
//! The page suppresses the menu, too (`App.svelte`), which is the only means on Windows and macOS. On Linux it is also
//! suppressed here, so that a page that failed to load offers no "Reload" or "Inspect Element".

use tauri::WebviewWindow;

/// Restricts the context menu of `window`.
#[cfg(target_os = "linux")]
pub fn restrict(window: &WebviewWindow) {
    use webkit2gtk::{ContextMenuExt, ContextMenuItemExt, HitTestResultExt, WebViewExt};

    let restricted = window.with_webview(|webview| {
        webview.inner().connect_context_menu(|_, menu, _, hit| {
            if hit.context_is_editable() {
                for item in menu.items().into_iter().filter(|item| !is_for_editing(item.stock_action())) {
                    menu.remove(&item);
                }
            }
            // True suppresses the menu.
            !hit.context_is_editable() || menu.n_items() == 0
        });
    });
    if let Err(error) = restricted {
        tracing::warn!(%error, "the web view keeps its context menu");
    }
}

#[cfg(target_os = "linux")]
fn is_for_editing(action: webkit2gtk::ContextMenuAction) -> bool {
    use webkit2gtk::ContextMenuAction::{
        Copy, Cut, Delete, IgnoreSpelling, InputMethods, LearnSpelling, Paste, PasteAsPlainText, SelectAll,
        SpellingGuess,
    };
    matches!(
        action,
        Cut | Copy
            | Paste
            | PasteAsPlainText
            | Delete
            | SelectAll
            | InputMethods
            | SpellingGuess
            | IgnoreSpelling
            | LearnSpelling
    )
}

/// Does nothing: on these systems only the page suppresses the menu.
#[cfg(not(target_os = "linux"))]
pub fn restrict(_window: &WebviewWindow) {}
