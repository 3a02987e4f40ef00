//! The desktop app's entry: mends the environment, reads the arguments, opens the window.

// No console window beside the real one on Windows.
#![cfg_attr(not(debug_assertions), windows_subsystem = "windows")]

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    // Before anything else: it may only be done while there is one thread.
    yonder_app::environment::mend();
    yonder_app::environment::take_passphrase();
    yonder_core::service::without_core_dumps();
    yonder_core::budget::give_large_blocks_back();
    yonder_app::run(yonder_app::Arguments::parse())
}
