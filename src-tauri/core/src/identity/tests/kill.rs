//! Tests of a process that is killed by SIGKILL after each step of a move. The child is this test binary, controlled by
//! its environment.

use std::process::{Command, Stdio};

use super::{
    super::relocate::MoveStep,
    fake::Machine,
    moving::{PLACES, check_whole, choice, relocate, start},
};

const DIR: &str = "YONDER_TEST_MOVE";
const TO: &str = "YONDER_TEST_MOVE_TO";
const STEP: &str = "YONDER_TEST_MOVE_STEP";

fn at<T: Copy>(all: &[T], name: &str) -> T {
    all[std::env::var(name).unwrap().parse::<usize>().unwrap()]
}

/// Child process: kills itself after one step.
#[test]
fn child_that_moves() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let (to, step) = (at(&PLACES, TO), at(&MoveStep::ALL, STEP));
    relocate(&Machine::at(dir.into()), to, &mut |done| {
        if done == step {
            let me = rustix::process::getpid();
            rustix::process::kill_process(me, rustix::process::Signal::KILL).unwrap();
        }
    })
    .unwrap();
    panic!("there is no such step");
}

#[cfg(unix)]
#[test]
fn kill_9_after_any_step_of_any_move_loses_nothing() {
    use std::os::unix::process::ExitStatusExt;

    for (from, from_place) in PLACES.into_iter().enumerate() {
        for to in (0..PLACES.len()).filter(|to| *to != from) {
            let above = tempfile::tempdir().unwrap();
            let machine = Machine::at(above.path().to_path_buf());
            let endpoint_id = start(&machine, choice(from_place)).unwrap().identity.endpoint_id();
            for step in 0..MoveStep::ALL.len() {
                let what = format!("{from_place:?} to {:?}, killed after {:?}", PLACES[to], MoveStep::ALL[step]);
                let ended = Command::new(std::env::current_exe().unwrap())
                    .args(["--exact", "identity::tests::kill::child_that_moves", "--test-threads=1"])
                    .env(DIR, above.path())
                    .env(TO, to.to_string())
                    .env(STEP, step.to_string())
                    .stdout(Stdio::null())
                    .stderr(Stdio::null())
                    .status()
                    .unwrap();
                assert_eq!(ended.signal(), Some(9), "{what}: {ended}");
                assert!(machine.copies() >= 1, "{what}: nothing is left");
                check_whole(&machine, endpoint_id, &what);
                relocate(&machine, from_place, &mut |_| {}).unwrap();
            }
        }
    }
}
