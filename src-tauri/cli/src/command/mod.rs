//! The commands.

mod bench;
mod demo;
mod device;
mod doctor;
mod keystore;
mod local_pair;
mod pair;
mod relay;
mod send;
mod serve;
mod setting;
mod text;
mod transfer;
mod trust;

use yonder_core::api::{Request, Response};

use crate::{
    args::{Cli, Command, Global, Pair},
    console::Console,
    failure::Failure,
    interrupt::Interrupt,
    node::Running,
};

/// Maximum number of attempts at a request if the node shuts down before it answers.
const ATTEMPTS: u32 = 10;

/// Executes the command.
pub async fn run(cli: Cli, console: &Console, interrupt: &Interrupt) -> Result<(), Failure> {
    let Cli { global, command } = cli;
    match command {
        Command::Serve(args) => serve::run(&global, &args, console, interrupt).await,
        // Must work where no node can start, and must never cause the first start of one.
        Command::Keystore { step } => tokio::select! {
            outcome = keystore::run(&global, step.as_ref(), console) => outcome,
            () = interrupt.wanted() => Err(Failure::interrupted()),
        },
        // Is useful where no node can start, too.
        Command::Doctor(args) => doctor::run(&global, &args, console, interrupt).await,
        Command::Bench(args) => bench::run(&args, global.verbose, console, interrupt).await,
        Command::Demo { keep } => demo::run(keep, global.verbose, console, interrupt).await,
        command => {
            for attempt in 1.. {
                match once(&global, &command, console, interrupt).await {
                    // The node belonged to another command, and ended with it.
                    Err(failure)
                        if attempt < ATTEMPTS
                            && only_asks(&command)
                            && matches!(failure.error.code.as_str(), "control_lost" | "shutting_down") => {}
                    outcome => return outcome,
                }
            }
            Ok(())
        }
    }
}

/// True if the command changes nothing, so that it may be repeated.
fn only_asks(command: &Command) -> bool {
    matches!(
        command,
        Command::Id
            | Command::Devices
            | Command::Relays { .. }
            | Command::Transfers { .. }
            | Command::Settings { value: None, .. }
    )
}

/// True if the command concerns the state of a running node.
fn needs_running_node(command: &Command) -> bool {
    matches!(
        command,
        Command::Approve { .. }
            | Command::Reject
            | Command::Accept { .. }
            | Command::Decline { .. }
            | Command::Cancel { .. }
            | Command::Pause { .. }
            | Command::Resume { .. }
            | Command::Retry { .. }
            | Command::Order { .. }
            | Command::Limit { transfer: Some(_), .. }
    )
}

async fn once(global: &Global, command: &Command, console: &Console, interrupt: &Interrupt) -> Result<(), Failure> {
    let opening = async {
        if needs_running_node(command) {
            return Running::existing(global, console).await;
        }
        match command {
            Command::Send(args) if args.background => {
                Running::existing(global, console).await.map_err(send::needs_a_node)
            }
            _ => Running::open(global, console).await,
        }
    };
    let running = tokio::select! {
        running = opening => running?,
        () = interrupt.wanted() => return Err(Failure::interrupted()),
    };
    let outcome = match command {
        // These commands have something to clean up after an interrupt.
        Command::Pair(Pair::Host { words, approve, level }) => {
            let consent = pair::Consent { approve: *approve, level: level.map(Into::into) };
            pair::host(&running, *words, consent, console, interrupt).await
        }
        Command::Pair(Pair::Join { picture, code, device, approve, level }) => {
            let consent = pair::Consent { approve: *approve, level: level.map(Into::into) };
            match picture {
                Some(picture) => pair::join_by_picture(&running, picture.clone(), consent, console, interrupt).await,
                None => pair::join(&running, code, device.clone(), consent, console, interrupt).await,
            }
        }
        Command::Send(args) => send::run(&running, global, args, console, interrupt).await,
        command => tokio::select! {
            outcome = simple(&running, command, console) => outcome,
            () = interrupt.wanted() => Err(Failure::interrupted()),
        },
    };
    running.close().await;
    outcome
}

async fn simple(running: &Running, command: &Command, console: &Console) -> Result<(), Failure> {
    match command {
        Command::Id => device::id(running, console).await,
        Command::Devices => device::list(running, console).await,
        Command::Unpair { device } => device::unpair(running, device, console).await,
        Command::Block { device } => trust::block(running, device, console).await,
        Command::Unblock { device } => trust::unblock(running, device, console).await,
        Command::Trust(args) => trust::run(running, args, console).await,
        Command::RenewKeys { device } => trust::renew_keys(running, device, console).await,
        Command::Text { device, message } => text::send(running, device, message, console).await,
        Command::Messages { device, number } => text::list(running, device.as_deref(), *number, console).await,
        Command::Ping { device, count } => device::ping(running, device, *count, console).await,
        Command::Rename { name } => setting::rename(running, name, console).await,
        Command::Settings { key, value } => setting::run(running, key.as_deref(), value.as_deref(), console).await,
        Command::Relays { probe } => relay::list(running, *probe, console).await,
        Command::Approve { level } => pair::answer(running, Some((*level).into()), console).await,
        Command::Reject => pair::answer(running, None, console).await,
        Command::TakeName { device } => trust::take_name(running, device, console).await,
        Command::Transfers { all, find } => transfer::list(running, *all, find.as_deref(), console).await,
        Command::Accept { id, into, conflict } => {
            transfer::accept(running, id, into.as_deref(), conflict.map(Into::into), console).await
        }
        Command::Decline { id } => transfer::decline(running, id, console).await,
        Command::Cancel { id } => transfer::cancel(running, id, console).await,
        Command::Pause { id } => transfer::pause(running, id, console).await,
        Command::Resume { id } => transfer::resume(running, id, console).await,
        Command::Retry { id } => transfer::retry(running, id, console).await,
        Command::Order { id, before } => transfer::order(running, id, before.as_deref(), console).await,
        Command::Limit { rate, transfer } => transfer::limit(running, *rate, transfer.as_deref(), console).await,
        // Handled before a node is opened, or together with the interrupt.
        Command::Serve(_)
        | Command::Doctor(_)
        | Command::Demo { .. }
        | Command::Bench(_)
        | Command::Keystore { .. }
        | Command::Pair(_)
        | Command::Send(_) => Ok(()),
    }
}

/// Sends a request whose response has no content.
async fn done(running: &Running, request: impl Into<Request>) -> Result<(), Failure> {
    match running.call(request).await? {
        Response::Done => Ok(()),
        _ => Err(Failure::strange_answer()),
    }
}

/// Returns the JSON name of a unit variant of the API.
fn word(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}
