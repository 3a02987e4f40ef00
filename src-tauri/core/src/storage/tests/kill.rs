//! Tests of a process that is killed while it writes. The child is this test binary, controlled by its environment.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, Command as Process, Stdio},
};

use super::*;

pub const DIR: &str = "YONDER_TEST_STORE";
const WRITERS: u8 = 4;

pub fn child(test: &str, dir: &TempDir) -> Child {
    Process::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(DIR, dir.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

pub fn random(below: u32) -> u32 {
    getrandom::u32().unwrap() % below
}

/// Child process: several writers, each of which changes two rows at a time and reports when they are durable.
#[tokio::test]
async fn child_that_writes() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let store = Store::open(Path::new(&dir), &root()).unwrap();
    let writers = (0..WRITERS).map(|writer| {
        let store = store.clone();
        async move {
            let mut n = value(&store, Table::Devices, &[writer]).await.map_or(0, |value| number(&value));
            loop {
                n += 1;
                let mut large = n.to_le_bytes().to_vec();
                large.resize(3000, writer);
                let ops =
                    vec![Op::put(Table::Devices, [writer], large), Op::put(Table::Settings, [writer], n.to_le_bytes())];
                store.write(ops).await.unwrap();
                let mut out = std::io::stdout().lock();
                writeln!(out, "stored {writer} {n}").unwrap();
                out.flush().unwrap();
            }
        }
    });
    join_all::<Vec<_>>(writers.collect()).await;
}

fn number(value: &[u8]) -> u64 {
    u64::from_le_bytes(value[..8].try_into().unwrap())
}

#[tokio::test]
async fn kill_9_loses_nothing_that_was_acknowledged() {
    let dir = tempdir().unwrap();
    let mut stored = [0u64; WRITERS as usize];
    for round in 0..24 {
        let mut child = child("storage::tests::kill::child_that_writes", &dir);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // Every fourth is killed at startup, while it opens or repairs the file; the others while writing.
        let wanted = if round % 4 == 0 { 0 } else { 1 + random(60) };
        let mut heard = 0;
        while heard < wanted {
            let line = lines.next().expect("the child ended by itself").unwrap();
            heard += u32::from(note(&line, &mut stored));
        }
        for _ in 0..random(2_000_000) {
            std::hint::spin_loop();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // Lines still in the pipe count, too.
        for line in lines.map_while(Result::ok) {
            note(&line, &mut stored);
        }

        let store = open(&dir);
        for writer in 0..WRITERS {
            let last = stored[usize::from(writer)];
            let device = value(&store, Table::Devices, &[writer]).await;
            let setting = value(&store, Table::Settings, &[writer]).await;
            let found = device.as_deref().map_or(0, number);
            assert_eq!(found, setting.as_deref().map_or(0, number), "round {round}: half a write");
            assert!(found == last || found == last + 1, "round {round}: {found} found, {last} acknowledged");
            stored[usize::from(writer)] = found;
        }
        store.close().await;
    }
    assert!(stored.iter().all(|n| *n > 10), "the children hardly wrote: {stored:?}");
}

fn note(line: &str, stored: &mut [u64]) -> bool {
    // The test harness prints its own lines, and may put our first one behind one of them.
    let Some((_, said)) = line.split_once("stored ") else { return false };
    let Some((writer, n)) = said.split_once(' ') else { return false };
    let (Ok(writer), Ok(n)) = (writer.parse::<usize>(), n.parse()) else { return false };
    stored[writer] = n;
    true
}

/// Child process: the store is open in its parent.
#[test]
fn child_that_comes_second() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    println!("told {}", refused(Path::new(&dir), &root()));
}

#[tokio::test]
async fn a_second_process_is_told() {
    let dir = tempdir().unwrap();
    let store = open(&dir);
    let child = child("storage::tests::kill::child_that_comes_second", &dir);
    let output = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    assert!(output.contains("told already_running"), "{output}");
    store.write(vec![Op::put(Table::Meta, *b"key", *b"value")]).await.unwrap();
}
