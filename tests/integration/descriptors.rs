//! Test of many transfers with few file descriptors: they share what the process may open, wait for each other, and
//! arrive.

use std::{
    fs,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use yonder_tests::{
    device::{Device, pair},
    program::TEST_TIMEOUT,
    tree,
};

const TRANSFERS: usize = 16;
const FOLDERS: usize = 150;
/// Default of `ulimit -n` on many systems.
const LIMIT: &str = "--nofile=1024:1024";
/// Most descriptors that a node may use of them, so that some are left for unexpected needs.
const MOST_FILES: usize = 900;
const MOST_THREADS: usize = 128;

fn count(pid: u32, what: &str) -> usize {
    fs::read_dir(format!("/proc/{pid}/{what}")).map_or(0, Iterator::count)
}

#[test]
fn sixteen_transfers_of_many_folders_arrive_under_the_usual_limit_of_open_files() {
    let (mut sender, mut receiver) = (Device::loopback("sender"), Device::loopback("receiver"));
    for device in [&mut sender, &mut receiver] {
        device.wrap(&["prlimit", LIMIT]);
    }
    let (sender_node, receiver_node) = (sender.serve(), receiver.serve());
    pair(&receiver, &receiver_node, &sender);
    sender.run(["settings", "parallel", "16"]).expect_status(0);
    let sources: Vec<_> = (0..TRANSFERS).map(|number| sender.home().join(format!("tree-{number:02}"))).collect();
    for source in &sources {
        for number in 0..FOLDERS {
            let folder = source.join(format!("folder {number:03}"));
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("leaf"), format!("{} {number}", source.display())).unwrap();
        }
        // A large file that keeps the transfer's streams busy for a while.
        tree::file(&source.join("large"), 6 << 20, 7);
    }
    let to = receiver_node.device_id();
    let sending: Vec<_> =
        sources.iter().map(|source| sender.start(["send".as_ref(), to.as_ref(), source.as_os_str()])).collect();
    let over = AtomicBool::new(false);
    let pids = [&sender_node, &receiver_node].map(|node| node.running.pid());
    let peaks = std::thread::scope(|scope| {
        let watching = scope.spawn(|| {
            let mut peaks = [(0, 0); 2];
            while !over.load(Ordering::Relaxed) {
                for (peak, pid) in peaks.iter_mut().zip(pids) {
                    *peak = (peak.0.max(count(pid, "fd")), peak.1.max(count(pid, "task")));
                }
                std::thread::sleep(Duration::from_millis(10));
            }
            peaks
        });
        let finished: Vec<_> = sending.into_iter().map(|sending| sending.finish(TEST_TIMEOUT * 4)).collect();
        over.store(true, Ordering::Relaxed);
        let done = finished.iter().filter(|finished| finished.status == Some(0)).count();
        assert_eq!(done, TRANSFERS, "all arrive: {finished:#?}");
        watching.join().unwrap()
    });
    for source in &sources {
        tree::assert_same(source, &receiver.downloads().join(source.file_name().unwrap()));
    }
    println!("FIGURE descriptors and threads of sender and receiver with {TRANSFERS} transfers: {peaks:?}");
    for (files, threads) in peaks {
        assert!(files <= MOST_FILES, "{files} open files");
        assert!(threads <= MOST_THREADS, "{threads} threads");
    }
}
