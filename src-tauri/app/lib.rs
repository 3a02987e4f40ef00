//! The desktop shell: window, tray icon and notifications around `yonder-core`. It is the only crate that uses Tauri,
//! and contains no network logic: requests go in, responses and events come out.
//!
//! The page is not trusted with paths. It asks for a dialog, or is notified of a drop, and gets an opaque id
//! ([`picks`]); the request that names the paths is made here.
#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod arguments;
mod browse;
mod commands;
mod dialogs;
pub mod environment;
mod node;
mod notify;
mod opened;
pub mod picks;
mod pictures;
mod questions;
mod reveal;
mod send;
mod service;
mod text;
mod widening;
mod window;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    process::ExitCode,
    time::Instant,
};

use tauri::{Manager, RunEvent};
use tracing_subscriber::EnvFilter;

use yonder_core::diagnostics::log::{DeferredLog, LineLimit, OneLine};

pub use arguments::Arguments;

/// Opens the window and runs until the app quits. If no window can be opened, prints the reason and returns a failure.
pub fn run(arguments: Arguments) -> ExitCode {
    log();
    if let Err(reason) = window::screen() {
        return no_window(&reason);
    }
    // The toolkit beneath the window panics if something that it requires is missing.
    catch_unwind(AssertUnwindSafe(|| open_and_run(arguments)))
        .unwrap_or_else(|_| no_window("a fault in the window's toolkit; what it said stands above"))
}

/// Prints to stderr why there is no window. A desktop does not show that, but it is in its log.
fn no_window(reason: &str) -> ExitCode {
    eprintln!("yonder: the window cannot be opened: {reason}");
    eprintln!("yonder: without a desktop, `yonder-cli serve` does the same from the command line");
    ExitCode::FAILURE
}

fn open_and_run(arguments: Arguments) -> ExitCode {
    let started = Instant::now();
    let built = tauri::Builder::default()
        // First, so that a second instance exits before it has built anything.
        .plugin(opened::single::plugin(&arguments))
        .plugin(tauri_plugin_dialog::init())
        .plugin(tauri_plugin_opener::Builder::new().open_js_links_on_click(false).build())
        .plugin(tauri_plugin_clipboard_manager::init())
        .plugin(tauri_plugin_deep_link::init())
        .manage(node::Core::default())
        .manage(picks::Picks::default())
        .manage(window::drop::Drag::default())
        .manage(opened::Inbox::default())
        .manage(pictures::Pictures::default())
        .manage(dialogs::Dialogs::default())
        .manage(window::quit::QuitQuestion::default())
        .manage(window::Shown::since(started))
        .manage(window::web_data::WebData::default())
        .manage(text::Spoken::of_environment())
        .invoke_handler(tauri::generate_handler![commands::call, commands::shell, pictures::picture])
        .setup(move |app| {
            if let Err(error) = window::open(app) {
                // Tauri would turn a returned error into a panic.
                no_window(&error.to_string());
                app.state::<window::web_data::WebData>().clean_up();
                std::process::exit(1);
            }
            // The window is opening; everything from here on runs in parallel.
            let notifier = notify::Notifier::start(app.handle());
            opened_with(app.handle(), arguments.open.clone());
            opened::scheme::register(app.handle(), &arguments);
            app.manage(node::Starter::new(arguments, notifier));
            node::start(app.handle(), service::Given::default());
            window::tray::put_up(app.handle());
            window::quit_on_signal(app.handle());
            Ok(())
        })
        .build(tauri::generate_context!());
    let app = match built {
        Ok(app) => app,
        Err(error) => return no_window(&error.to_string()),
    };
    app.run(|app, event| match event {
        RunEvent::Exit => {
            node::stop(app);
            app.state::<window::web_data::WebData>().clean_up();
        }
        #[cfg(target_os = "macos")]
        RunEvent::Reopen { .. } => window::show(app),
        _ => {}
    });
    ExitCode::SUCCESS
}

/// Handles the links and files of this start. macOS passes links later and in another way.
fn opened_with(app: &tauri::AppHandle, given: Vec<std::ffi::OsString>) {
    #[cfg(target_os = "macos")]
    {
        use tauri_plugin_deep_link::DeepLinkExt;
        let handle = app.clone();
        app.deep_link().on_open_url(move |event| {
            let links: Vec<_> = event.urls().into_iter().map(|link| String::from(link).into()).collect();
            opened::open(&handle, &links, std::path::Path::new(""));
            window::show(&handle);
        });
    }
    if given.is_empty() {
        return;
    }
    let app = app.clone();
    std::thread::spawn(move || opened::open(&app, &given, &std::env::current_dir().unwrap_or_default()));
}

/// Sets up logging to stderr and to files in the data directory; `RUST_LOG` sets the level. Must run before anything
/// logs.
fn log() {
    use tracing_subscriber::{
        Layer,
        filter::{FilterExt, LevelFilter, dynamic_filter_fn},
        fmt,
        layer::SubscriberExt,
        util::SubscriberInitExt,
    };
    let filter = || {
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn,yonder_app=info,yonder_core=info"))
    };
    // Some lines contain text chosen by peers, which must neither begin a line nor control the terminal.
    let stderr = fmt::layer().with_ansi(false).with_writer(|| OneLine(std::io::stderr()));
    let log = DeferredLog::of_this_process();
    let limit = LineLimit::new(log.clone());
    let file = fmt::layer().with_ansi(false).with_writer(move || OneLine(log.clone()));
    // Declares all levels, so that only the other filter decides about levels.
    let limit = dynamic_filter_fn(move |line, _| limit.allows(line)).with_max_level_hint(LevelFilter::TRACE);
    let file = file.with_filter(filter().and(limit));
    // Fails only if a logger is set already, which is then used.
    let _ = tracing_subscriber::registry().with(stderr.with_filter(filter())).with(file).try_init();
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "the app starts");
}

/// Label of the window, also in `tauri.conf.json` and in the capabilities.
const MAIN: &str = "main";

/// Name of the event that carries events of the core to the page.
const CORE_EVENT: &str = "yonder://event";

/// Name of the event that carries events of the shell to the page.
const SHELL_EVENT: &str = "yonder://shell";

/// Emits an event to the page. A page that is not loaded yet requests a snapshot later.
fn emit_to_page(app: &tauri::AppHandle, event: yonder_core::api::ShellEvent) {
    use tauri::Emitter;
    if let Err(error) = app.emit_to(MAIN, SHELL_EVENT, event) {
        tracing::warn!(%error, "the page could not be told");
    }
}

/// Returns the main window, unless it is being destroyed.
fn main_window(app: &tauri::AppHandle) -> Option<tauri::WebviewWindow> {
    app.get_webview_window(MAIN)
}
