//! Entry point of the desktop app: sets up the environment, parses the arguments, opens the window.

// Prevents an additional console window on Windows.
#![cfg_attr(not(debug_assertions), windows_subsystem = "windows")]

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    // Must come first: it is sound only while there is one thread.
    yonder_app::environment::mend();
    yonder_app::environment::take_passphrase();
    yonder_core::service::without_core_dumps();
    yonder_core::budget::give_large_blocks_back();
    yonder_app::run(yonder_app::Arguments::parse())
}
