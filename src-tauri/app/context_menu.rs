//! The web view's context menu: shown in fields that text is typed into, with what belongs to editing, and nowhere else.
//!
//! The page refuses it too (`App.svelte`), which is all there is on Windows and macOS. On Linux it is refused here as well,
//! so that a page that does not load offers no "Reload" and no "Inspect Element" either.

use tauri::WebviewWindow;

/// Takes the menu away from `window`.
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
            // True: no menu is shown.
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

/// The page alone refuses it.
#[cfg(not(target_os = "linux"))]
pub fn restrict(_window: &WebviewWindow) {}
