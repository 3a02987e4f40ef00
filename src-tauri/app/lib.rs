//! The desktop shell: a window, a tray icon and notifications around `yonder-core`. It is the only Rust that names
//! Tauri, and it decides nothing about the network: requests go in, answers and events come out.
//!
//! The page is not trusted with paths. It asks for a dialog, or is told of a drop, and gets an opaque id
//! ([`picks`]); the request that names the paths is made here.
#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod arguments;
mod attention;
mod browse;
mod commands;
mod context_menu;
mod dialogs;
mod drop;
pub mod environment;
mod node;
mod notify;
mod opened;
pub mod picks;
mod pictures;
mod questions;
mod quit;
mod reveal;
mod scheme;
mod send;
mod service;
mod single;
mod text;
mod tray;
mod web_data;
mod widening;
mod window;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    process::ExitCode,
    time::Instant,
};

use tauri::{Manager, RunEvent};
use tracing_subscriber::EnvFilter;

use yonder_core::diagnostics::log::{KeptLog, LineLimit, OneLine};

pub use arguments::Arguments;

/// Opens the window and stays until the app is quit. Where no window can be opened, says why and gives a failure.
pub fn run(arguments: Arguments) -> ExitCode {
    log();
    if let Err(reason) = window::screen() {
        return no_window(&reason);
    }
    // What lies beneath the window panics where something is missing that it takes for granted.
    catch_unwind(AssertUnwindSafe(|| open_and_run(arguments)))
        .unwrap_or_else(|_| no_window("a fault in the window's toolkit; what it said stands above"))
}

/// Says on stderr why there is no window. A desktop shows that nowhere, but it is in its log.
fn no_window(reason: &str) -> ExitCode {
    eprintln!("yonder: the window cannot be opened: {reason}");
    eprintln!("yonder: without a desktop, `yonder-cli serve` does the same from the command line");
    ExitCode::FAILURE
}

fn open_and_run(arguments: Arguments) -> ExitCode {
    let started = Instant::now();
    let built = tauri::Builder::default()
        // First, so that a second start leaves before it has built anything.
        .plugin(single::plugin(&arguments))
        .plugin(tauri_plugin_dialog::init())
        .plugin(tauri_plugin_opener::Builder::new().open_js_links_on_click(false).build())
        .plugin(tauri_plugin_clipboard_manager::init())
        .plugin(tauri_plugin_deep_link::init())
        .manage(node::Core::default())
        .manage(picks::Picks::default())
        .manage(drop::Drag::default())
        .manage(opened::Inbox::default())
        .manage(pictures::Pictures::default())
        .manage(dialogs::Dialogs::default())
        .manage(quit::Question::default())
        .manage(window::Shown::since(started))
        .manage(web_data::WebData::default())
        .manage(text::Spoken::of_environment())
        .invoke_handler(tauri::generate_handler![commands::call, commands::shell, pictures::picture])
        .setup(move |app| {
            if let Err(error) = window::open(app) {
                // An error that is given back from here becomes a panic in Tauri.
                no_window(&error.to_string());
                app.state::<web_data::WebData>().clean_up();
                std::process::exit(1);
            }
            // The window is on its way; from here on everything runs beside it.
            let notifier = notify::Notifier::start(app.handle());
            opened_with(app.handle(), arguments.open.clone());
            scheme::register(app.handle(), &arguments);
            app.manage(node::Starter::new(arguments, notifier));
            node::start(app.handle(), service::Given::default());
            tray::put_up(app.handle());
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
            app.state::<web_data::WebData>().clean_up();
        }
        #[cfg(target_os = "macos")]
        RunEvent::Reopen { .. } => window::show(app),
        _ => {}
    });
    ExitCode::SUCCESS
}

/// Takes the links and files of this start. macOS hands over links later, and by another way.
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

/// Logs go to stderr and to files in the data directory; `RUST_LOG` says how much. Set before anything that may want to log.
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
    // What peers chose stands in some lines: none of it may begin a line of its own, or steer the terminal.
    let stderr = fmt::layer().with_ansi(false).with_writer(|| OneLine(std::io::stderr()));
    let log = KeptLog::of_this_process();
    let limit = LineLimit::new(log.clone());
    let file = fmt::layer().with_ansi(false).with_writer(move || OneLine(log.clone()));
    // It says nothing of levels: what the other filter leaves out is not even made.
    let limit = dynamic_filter_fn(move |line, _| limit.allows(line)).with_max_level_hint(LevelFilter::TRACE);
    let file = file.with_filter(filter().and(limit));
    // Fails only if a logger is set already, which then serves.
    let _ = tracing_subscriber::registry().with(stderr.with_filter(filter())).with(file).try_init();
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "the app starts");
}

/// The window's label, in `tauri.conf.json` and in the capabilities.
const MAIN: &str = "main";

/// The event by which the page hears of the core.
const CORE_EVENT: &str = "yonder://event";

/// The event by which the page hears of the shell.
const SHELL_EVENT: &str = "yonder://shell";

/// Tells the page something. A page that is not there yet asks for a snapshot when it is.
fn tell(app: &tauri::AppHandle, event: yonder_core::api::ShellEvent) {
    use tauri::Emitter;
    if let Err(error) = app.emit_to(MAIN, SHELL_EVENT, event) {
        tracing::warn!(%error, "the page could not be told");
    }
}

/// The main window, unless it is being torn down.
fn main_window(app: &tauri::AppHandle) -> Option<tauri::WebviewWindow> {
    app.get_webview_window(MAIN)
}
