//! `text`, `messages`.

use std::{io::Read, time::Duration};

use yonder_core::{
    api::{DeviceView, Direction, Event, MessageState, MessageView, Request, Response},
    error::NetworkError,
    messaging::{MAX_TEXT, TextError},
};

use crate::{
    console::Console,
    failure::{Failure, UNREACHABLE},
    node::Running,
    text::{shown, shown_lines},
};

/// How long the other device has to say that it has the text, before this command says that it waits.
const PATIENCE: Duration = Duration::from_secs(10);

/// Ends well when the other device has the text, or when a node that goes on running keeps it.
pub async fn send(running: &Running, device: &str, words: &[String], console: &Console) -> Result<(), Failure> {
    let text = match words {
        [dash] if dash == "-" => stdin()?,
        words => words.join(" "),
    };
    if text.len() > MAX_TEXT {
        return Err(NetworkError::from(TextError::TooLong).into());
    }
    let mut events = running.events().await?;
    let Response::Message(sent) = running.call(Request::SendText { device: device.into(), text }).await? else {
        return Err(Failure::strange_answer());
    };
    let delivered = async {
        loop {
            match events.next().await.ok_or_else(Failure::lost)?.event {
                Event::Message { message } if is_delivered(&message, &sent) => return Ok::<_, Failure>(message),
                _ => {}
            }
        }
    };
    match tokio::time::timeout(PATIENCE, delivered).await {
        Ok(message) => {
            console.object(&message?);
            console.say(&format!("{} has it.", shown(device)));
            Ok(())
        }
        Err(_) if running.is_here() => Err(Failure {
            status: UNREACHABLE,
            ..Failure::failed(
                "text_waits",
                format!("{} is not reachable now; the text waits for it", shown(device)),
                "It is delivered the next time that Yonder runs here while the other device is there.",
            )
        }),
        Err(_) => {
            console.object(&sent);
            console.say(&format!("{} has not taken it yet; it gets the text as soon as it can.", shown(device)));
            Ok(())
        }
    }
}

fn is_delivered(message: &MessageView, sent: &MessageView) -> bool {
    (message.device_id, message.id) == (sent.device_id, sent.id) && message.state == MessageState::Delivered
}

fn stdin() -> Result<String, Failure> {
    let mut bytes = Vec::new();
    // A little more than any text may have, for line breaks at its end: what is longer is not read to its end.
    let most = MAX_TEXT + 1024;
    let read = std::io::stdin().take(most as u64).read_to_end(&mut bytes);
    read.map_err(|error| {
        Failure::usage(format!("stdin could not be read: {error}"), "Give the text as an argument, or pipe it in.")
    })?;
    if bytes.len() == most {
        return Err(NetworkError::from(TextError::TooLong).into());
    }
    let text = String::from_utf8(bytes).map_err(|_| {
        Failure::usage("what comes from stdin is not text in UTF-8", "Send it as a file: `yonder-cli send`.")
    })?;
    Ok(text.trim_end_matches(['\n', '\r']).to_owned())
}

pub async fn list(running: &Running, device: Option<&str>, number: u32, console: &Console) -> Result<(), Failure> {
    let Response::Devices(devices) = running.call(Request::Devices).await? else {
        return Err(Failure::strange_answer());
    };
    let chosen: Vec<String> = match device {
        Some(device) => vec![device.to_owned()],
        None => devices.iter().filter(|device| device.paired).map(|device| device.device_id.to_string()).collect(),
    };
    let mut all = Vec::new();
    for device in chosen {
        let request = Request::Messages { device, before: None, limit: number };
        let Response::Messages(messages) = running.call(request).await? else {
            return Err(Failure::strange_answer());
        };
        all.extend(messages);
    }
    all.sort_by_key(|message| (message.sent_at, message.device_id, message.id));
    for message in &all {
        console.object(message);
        console.say(&line(message, &devices));
    }
    if all.is_empty() {
        console.say("No texts.");
    }
    Ok(())
}

fn line(message: &MessageView, devices: &[DeviceView]) -> String {
    let name = devices.iter().find(|device| device.device_id == message.device_id).map(|device| shown(&device.name));
    let name = name.unwrap_or_else(|| message.device_id.to_string());
    let way = match message.direction {
        Direction::Send => format!("to {name}"),
        Direction::Receive => format!("from {name}"),
    };
    let state = if message.state == MessageState::Queued { " (waits)" } else { "" };
    format!("{way}{state}: {}", shown_lines(&message.text))
}
