//! Commands `text` and `messages`.

use std::{io::Read, time::Duration};

use yonder_core::{
    api::{DeviceView, Direction, Event, MessageRequest, MessageState, MessageView, NodeRequest, Response},
    error::NetworkError,
    messaging::{MAX_TEXT, TextError},
};

use crate::{
    console::Console,
    failure::{Failure, UNREACHABLE},
    node::Running,
    text::{shown, shown_lines},
};

/// Time for the other device to confirm, before this command reports that the text is queued.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(10);

/// Succeeds when the other device has the text, or when a node that keeps running has queued it.
pub async fn send(running: &Running, device: &str, words: &[String], console: &Console) -> Result<(), Failure> {
    let text = match words {
        [dash] if dash == "-" => stdin()?,
        words => words.join(" "),
    };
    if text.len() > MAX_TEXT {
        return Err(NetworkError::from(TextError::TooLong).into());
    }
    let mut events = running.events().await?;
    let Response::Message(sent) = running.call(MessageRequest::SendText { device: device.into(), text }).await? else {
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
    match tokio::time::timeout(DELIVERY_TIMEOUT, delivered).await {
        Ok(message) => {
            console.object(&message?);
            console.say(&format!("Delivered to {}.", shown(device)));
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
            console.say(&format!(
                "Queued: {} has not received the text yet, and gets it as soon as it is reachable.",
                shown(device)
            ));
            Ok(())
        }
    }
}

fn is_delivered(message: &MessageView, sent: &MessageView) -> bool {
    (message.device_id, message.id) == (sent.device_id, sent.id) && message.state == MessageState::Delivered
}

fn stdin() -> Result<String, Failure> {
    let mut bytes = Vec::new();
    // Slightly more than the limit of a text, for trailing line breaks. Longer input is not read to its end.
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
    let Response::Devices(devices) = running.call(NodeRequest::Devices).await? else {
        return Err(Failure::strange_answer());
    };
    let chosen: Vec<String> = match device {
        Some(device) => vec![device.to_owned()],
        None => devices.iter().filter(|device| device.paired).map(|device| device.device_id.to_string()).collect(),
    };
    let mut all = Vec::new();
    for device in chosen {
        let request = MessageRequest::Messages { device, before: None, limit: number };
        let Response::Messages(messages) = running.call(request).await? else {
            return Err(Failure::strange_answer());
        };
        let times = own_times(&messages, now_ms());
        all.extend(times.into_iter().zip(messages));
    }
    all.sort_by_key(|(time, message)| (*time, message.device_id, message.id));
    for (_, message) in &all {
        console.object(message);
        console.say(&line(message, &devices));
    }
    if all.is_empty() {
        console.say("No texts.");
    }
    Ok(())
}

/// Returns the local time of each text with one device, as well as it can be determined. The stored order is certain,
/// and so are the times of this side's texts. The times of the other device's texts lie between those, because its
/// clock may be wrong.
fn own_times(messages: &[MessageView], now: u64) -> Vec<u64> {
    let mut latest = now;
    let mut times: Vec<u64> = messages
        .iter()
        .rev()
        .map(|message| {
            let time = message.sent_at.min(latest);
            if message.direction == Direction::Send {
                latest = time;
            }
            time
        })
        .collect();
    times.reverse();
    for at in 1..times.len() {
        times[at] = times[at].max(times[at - 1]);
    }
    times
}

fn now_ms() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

fn line(message: &MessageView, devices: &[DeviceView]) -> String {
    let name = devices.iter().find(|device| device.device_id == message.device_id).map(|device| shown(&device.name));
    let name = name.unwrap_or_else(|| message.device_id.to_string());
    let way = match message.direction {
        Direction::Send => format!("to {name}"),
        Direction::Receive => format!("from {name}"),
    };
    let state = if message.state == MessageState::Queued { " (queued)" } else { "" };
    format!("{way}{state}: {}", shown_lines(&message.text))
}

#[cfg(test)]
mod tests {
    use Direction::{Receive, Send};
    use yonder_core::id::DeviceId;

    use super::*;

    fn times(texts: &[(Direction, u64)], now: u64) -> Vec<u64> {
        let views: Vec<_> = (1..)
            .zip(texts)
            .map(|(id, (direction, sent_at))| MessageView {
                id,
                device_id: DeviceId::of_endpoint(&[1; 32]),
                direction: *direction,
                text: "text".into(),
                sent_at: *sent_at,
                state: MessageState::Delivered,
            })
            .collect();
        own_times(&views, now)
    }

    #[test]
    fn the_clock_of_another_device_orders_nothing_but_its_own_texts() {
        assert_eq!(times(&[(Send, 10), (Receive, 20), (Send, 30)], 100), [10, 20, 30], "clocks that agree");
        assert_eq!(times(&[(Send, 10), (Receive, 9_000), (Send, 30)], 100), [10, 30, 30], "far ahead");
        assert_eq!(times(&[(Send, 10), (Receive, 0), (Send, 30)], 100), [10, 10, 30], "far behind");
        assert_eq!(times(&[(Receive, u64::MAX), (Receive, 0)], 100), [100, 100], "and never in the future");
    }
}
