//! Yonder without a window. Every command uses the running node of the data directory, or starts one for its own
//! duration. `docs/cli.md` describes the output for programs and the exit statuses.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod args;
mod command;
mod console;
mod environment;
mod failure;
mod interrupt;
mod node;
mod notes;
mod passphrase;
mod sources;
mod text;

use std::process::ExitCode;

use clap::{Parser, error::ErrorKind};

use yonder_core::{
    budget::{BLOCKING_THREADS, give_large_blocks_back},
    diagnostics::log::{DeferredLog, LineLimit, OneLine},
    service::without_core_dumps,
};

use crate::{
    args::{Cli, Command},
    console::Console,
    failure::Failure,
    interrupt::Interrupt,
};

fn main() -> ExitCode {
    environment::take_secrets();
    without_core_dumps();
    give_large_blocks_back();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return refuse_arguments(&error),
    };
    start_log(&cli);
    let console = Console::new(cli.global.json);
    let runtime =
        match tokio::runtime::Builder::new_multi_thread().max_blocking_threads(BLOCKING_THREADS).enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return end(&console, Err(Failure::system("threads cannot be started", &error))),
        };
    let outcome = runtime.block_on(async {
        let interrupt = Interrupt::install()?;
        command::run(cli, &console, &interrupt).await
    });
    // Work that hangs on a disk or a prompt must not delay the exit.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    end(&console, outcome)
}

fn end(console: &Console, outcome: Result<(), Failure>) -> ExitCode {
    passphrase::restore_terminal();
    match outcome {
        Ok(()) if console.output_was_lost() => ExitCode::from(failure::FAILED),
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !failure.is_reported() {
                console.failure(&failure);
            }
            ExitCode::from(failure.status)
        }
    }
}

/// Prints the error for invalid arguments, or the answer to an argument such as `--help`.
fn refuse_arguments(error: &clap::Error) -> ExitCode {
    // Printing fails only if nobody reads.
    let _ = error.print();
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        return ExitCode::SUCCESS;
    }
    // The arguments could not be parsed, so `--json` is searched by hand.
    if std::env::args_os().skip(1).take_while(|arg| arg != "--").any(|arg| arg == "--json") {
        let rendered = error.render().to_string();
        let message = rendered.lines().next().unwrap_or_default().trim_start_matches("error: ");
        Console::new(true).error_object(&Failure::usage(message, "See `yonder-cli --help`."));
    }
    ExitCode::from(failure::USAGE)
}

/// Sets up logging to stderr, silent by default: `-v`, `-vv`, `-vvv`, or `RUST_LOG` set the level. `serve` also logs to
/// files in its data directory, from `info` on.
fn start_log(cli: &Cli) {
    use tracing_subscriber::{
        EnvFilter, Layer,
        filter::{FilterExt, LevelFilter, dynamic_filter_fn},
        fmt,
        layer::SubscriberExt,
        util::SubscriberInitExt,
    };
    let level = |verbose: u8| match verbose {
        0 => "off",
        1 => "yonder_core=info,yonder_cli=info,warn",
        2 => "yonder_core=debug,yonder_cli=debug,info",
        _ => "yonder_core=trace,yonder_cli=trace,debug",
    };
    let filter = |verbose: u8| EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level(verbose)));
    let verbose = cli.global.verbose;
    // Some lines contain text chosen by peers, which must neither begin a line nor control the terminal.
    let stderr = fmt::layer().with_ansi(false).with_writer(|| OneLine(std::io::stderr()));
    let file = matches!(cli.command, Command::Serve(_)).then(|| {
        let log = DeferredLog::of_this_process();
        let limit = LineLimit::new(log.clone());
        let layer = fmt::layer().with_ansi(false).with_writer(move || OneLine(log.clone()));
        // Declares all levels, so that only the other filter decides about levels.
        let limit = dynamic_filter_fn(move |line, _| limit.allows(line)).with_max_level_hint(LevelFilter::TRACE);
        layer.with_filter(filter(verbose.max(1)).and(limit))
    });
    tracing_subscriber::registry().with(stderr.with_filter(filter(verbose))).with(file).init();
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "the program starts");
}
