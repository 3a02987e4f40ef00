//! Command `bench`: compares the raw transport with Yonder's transfers, on the loopback of this machine. Each
//! measurement is between two processes of this program. They alternate, so that other load on the machine affects all
//! of them alike.

mod far;
mod source;

use std::{net::Ipv4Addr, path::Path, time::Duration};

use serde::Serialize;
use yonder_core::{
    api::{DiagnosticsRequest, Response, TransferOptions},
    net::{RawConnection, RawTransport},
};

use self::{far::FarEnd, source::BenchFiles};
use super::local_pair::{LocalNode, failed, pair, remove, transfer, while_both_run};
use crate::{
    args,
    console::Console,
    failure::Failure,
    interrupt::Interrupt,
    text::{count, size, table},
};

/// Time limit of the command.
const TIME_LIMIT: Duration = Duration::from_secs(30 * 60);
/// Numbers of parallel raw streams that are measured.
const STREAMS: [u8; 3] = [1, 4, 8];
/// Round trips of each kind in one round. Below the rate limit of messages: 100 in a burst, and 20 a second.
const ROUND_TRIPS: u32 = 30;
/// Time until the rate limit allows the next burst.
const BREATH: Duration = Duration::from_millis(50 * ROUND_TRIPS as u64);
/// Figures to which the others are compared.
const BARE: &str = "bare_stream";
const BARE_TRIP: &str = "bare_round_trip";

/// One figure: the median of the rounds.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Figure {
    name: String,
    value: f64,
    unit: &'static str,
    /// Ratio to the raw figure of this unit.
    ratio: f64,
}

/// Measurements so far by name, in the order of the first ones.
#[derive(Debug, Default)]
struct Measured(Vec<(String, &'static str, Vec<f64>)>);

impl Measured {
    fn add(&mut self, name: &str, unit: &'static str, values: impl IntoIterator<Item = f64>) {
        match self.0.iter_mut().find(|(known, ..)| known == name) {
            Some((.., all)) => all.extend(values),
            None => self.0.push((name.into(), unit, values.into_iter().collect())),
        }
    }

    fn rate(&mut self, name: &str, bytes: u64, took: Duration) {
        self.add(name, "MB/s", [bytes as f64 / 1e6 / took.as_secs_f64().max(1e-6)]);
    }

    fn median(&self, name: &str) -> Option<f64> {
        let (.., values) = self.0.iter().find(|(known, ..)| known == name)?;
        let mut values = values.clone();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied()
    }

    fn figures(&self) -> Vec<Figure> {
        let bare = |unit: &str| self.median(if unit == "ms" { BARE_TRIP } else { BARE }).filter(|bare| *bare > 0.0);
        let figure = |(name, unit, _): &(String, &'static str, Vec<f64>)| {
            let value = self.median(name)?;
            Some(Figure { name: name.clone(), value, unit, ratio: value / bare(unit)? })
        };
        self.0.iter().filter_map(figure).collect()
    }
}

pub async fn run(args: &args::Bench, verbose: u8, console: &Console, interrupt: &Interrupt) -> Result<(), Failure> {
    if args.far_end {
        return far::serve(console).await;
    }
    let folder = tempfile::Builder::new()
        .prefix("yonder-bench-")
        .tempdir()
        .map_err(|error| failed(format!("no folder could be made: {error}")))?;
    let outcome = tokio::select! {
        outcome = play(args, folder.path(), verbose, console) => outcome,
        () = tokio::time::sleep(TIME_LIMIT) => Err(failed("it took longer than half an hour")),
        () = interrupt.wanted() => Err(Failure::interrupted()),
    };
    remove(folder.keep(), console).await;
    let figures = outcome?.figures();
    for figure in &figures {
        console.object(figure);
    }
    console.say(&shown_to_people(&figures));
    Ok(())
}

async fn play(args: &args::Bench, folder: &Path, verbose: u8, console: &Console) -> Result<Measured, Failure> {
    console.note(&format!(
        "Creating {} of test data in one file, and the same in {}…",
        size(args.size as f64),
        count(args.files.into(), "file")
    ));
    let sources = BenchFiles::make(folder.join("to send"), args.size, args.files).await?;
    let far = FarEnd::start().await?;
    let near = RawTransport::bind((Ipv4Addr::LOCALHOST, 0).into()).await?;
    let line = near.dial(far.address()).await?;
    let (host, joiner) =
        tokio::try_join!(LocalNode::start(folder, "host", verbose), LocalNode::start(folder, "joiner", verbose))?;
    let measuring = async {
        pair(&host, &joiner, &|_: &str| {}).await?;
        let mut measured = Measured::default();
        for round in 1..=args.rounds {
            console.note(&format!("Round {round} of {}…", args.rounds));
            bare(&line, args.size, &mut measured).await?;
            ours(&joiner, &host, &sources, &mut measured).await?;
            round_trips(&line, &joiner, &host, &mut measured).await?;
        }
        Ok(measured)
    };
    let outcome = while_both_run([&host, &joiner], measuring).await;
    let ((), (), ()) = tokio::join!(host.end(), joiner.end(), near.close());
    outcome
}

async fn bare(line: &RawConnection, bytes: u64, measured: &mut Measured) -> Result<(), Failure> {
    for streams in STREAMS {
        let name = if streams == 1 { BARE.into() } else { format!("bare_{streams}_streams") };
        measured.rate(&name, bytes, line.push(streams, bytes).await?);
    }
    Ok(())
}

async fn ours(from: &LocalNode, to: &LocalNode, sources: &BenchFiles, measured: &mut Measured) -> Result<(), Failure> {
    for (what, source) in [("file", &sources.file), ("files", &sources.files)] {
        for (how, encrypt) in [("sealed", true), ("unsealed", false)] {
            let options = TransferOptions { encrypt, compress: false, ..TransferOptions::default() };
            let (view, seconds) = transfer(from, to, source, options, &|_: &str| {}).await?;
            measured.rate(&format!("{what}_{how}"), view.total, Duration::from_secs_f64(seconds));
            // The data was written to the disk, and is removed so as not to fill it.
            source::empty(to.download_dir()).await?;
        }
    }
    Ok(())
}

async fn round_trips(
    line: &RawConnection,
    from: &LocalNode,
    to: &LocalNode,
    measured: &mut Measured,
) -> Result<(), Failure> {
    for _ in 0..ROUND_TRIPS {
        measured.add(BARE_TRIP, "ms", [line.round_trip().await?.as_secs_f64() * 1e3]);
    }
    let ping = DiagnosticsRequest::Ping { device: to.device_id().to_owned(), count: ROUND_TRIPS };
    let Response::Ping(ping) = from.client().call(ping).await? else { return Err(Failure::strange_answer()) };
    measured.add("ping", "ms", ping.rtt_ms);
    tokio::time::sleep(BREATH).await;
    Ok(())
}

fn shown_to_people(figures: &[Figure]) -> String {
    let what = |name: &str| match name {
        BARE => "one bare stream",
        "bare_4_streams" => "4 bare streams",
        "bare_8_streams" => "8 bare streams",
        "file_sealed" => "one large file, sealed",
        "file_unsealed" => "one large file, TLS alone",
        "files_sealed" => "many files, sealed",
        "files_unsealed" => "many files, TLS alone",
        BARE_TRIP => "round trip, bare stream",
        "ping" => "round trip, ping",
        _ => "",
    };
    let row = |figure: &Figure| {
        let value = if figure.unit == "ms" { format!("{:.3}", figure.value) } else { format!("{:.0}", figure.value) };
        [what(&figure.name).to_owned(), format!("{value} {}", figure.unit), format!("{:.2}", figure.ratio)]
    };
    let rows: Vec<_> = figures.iter().map(row).collect();
    table(["WHAT", "MEDIAN", "RATIO TO BARE"], &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_to_the_bare_figure_of_the_same_unit() {
        let mut measured = Measured::default();
        for (seconds, ours) in [(1.0, 2.0), (2.0, 4.0), (4.0, 4.0)] {
            measured.rate(BARE, 100_000_000, Duration::from_secs_f64(seconds));
            measured.rate("file_sealed", 100_000_000, Duration::from_secs_f64(ours));
        }
        measured.add(BARE_TRIP, "ms", [0.1, 0.2, 0.3]);
        measured.add("ping", "ms", [0.3]);
        let figures = measured.figures();
        let seen: Vec<_> = figures.iter().map(|f| (f.name.as_str(), f.value, f.unit, f.ratio)).collect();
        assert_eq!(
            seen,
            [
                (BARE, 50.0, "MB/s", 1.0),
                ("file_sealed", 25.0, "MB/s", 0.5),
                (BARE_TRIP, 0.2, "ms", 1.0),
                ("ping", 0.3, "ms", 1.4999999999999998),
            ]
        );
        let table = shown_to_people(&figures);
        assert!(table.contains("one large file, sealed   25 MB/s   0.50"), "{table}");
    }
}
