//! Tests of the laboratory itself: it does what it says, and leaves nothing behind.

mod routers;

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use yonder_tests::lab::{Host, Lab, Line};

#[track_caller]
fn run(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{command:?}\n{text}\n{}", String::from_utf8_lossy(&output.stderr));
    text
}

fn reaches(from: &Host, to: &Host) -> bool {
    let mut ping = from.command("ping");
    ping.args(["-c", "1", "-W", "2", &to.address().to_string()]);
    let output = ping.stdin(Stdio::null()).output().unwrap();
    assert_ne!(output.status.code(), Some(127), "ping is missing: {}", String::from_utf8_lossy(&output.stderr));
    output.status.success()
}

#[test]
fn hosts_of_a_lan_reach_each_other_and_nobody_else() {
    let lab = Lab::lan(3);
    let [one, two, three] = lab.hosts() else { panic!("three hosts") };
    assert!(reaches(one, two) && reaches(two, three) && reaches(three, one));
    let other = Lab::lan(1);
    let links = run(one.command("ip").args(["-brief", "link"]));
    assert_eq!(links.lines().count(), 2, "lo and eth0 alone: {links}");
    assert!(!reaches(&other.hosts()[0], two), "two labs met");
}

/// Returns ping round-trip times in milliseconds.
fn round_trips(from: &Host, to: &Host, count: u32, pause: &str) -> Vec<f64> {
    let mut ping = from.command("ping");
    ping.args(["-c", &count.to_string(), "-i", pause, "-W", "2", &to.address().to_string()]);
    let output = ping.stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let times = text.lines().filter_map(|line| line.split("time=").nth(1)?.split(' ').next()?.parse().ok());
    times.collect()
}

#[test]
fn a_line_takes_as_long_as_is_said() {
    // Hosts, switches and the reading of frames take time on this machine, which comes on top of the line's delay.
    let short = Lab::line(&Line::new(1000.0, Duration::ZERO));
    let beside = round_trips(&short.hosts()[0], &short.hosts()[1], 40, "0.02").into_iter().fold(f64::MAX, f64::min);
    println!("FIGURE line of 0 ms: round trip {beside:.2} ms at least");
    assert!(beside < 0.5, "{beside} ms");
    drop(short);
    for wanted in [2.0, 20.0, 100.0] {
        let mut lab = Lab::line(&Line::new(1000.0, Duration::from_secs_f64(wanted / 1e3)));
        let [one, two] = [0, 1].map(|n: usize| lab.hosts()[n].clone());
        let mut times = round_trips(&one, &two, 40, "0.02");
        assert!(times.len() == 40, "{times:?}");
        times.sort_by(f64::total_cmp);
        // A busy machine wakes the line and the hosts late, never early.
        let (least, quarter) = (times[0], times[10]);
        println!("FIGURE line of {wanted} ms: round trip {least:.2} ms at least, {quarter:.2} ms for a quarter");
        assert!(least >= wanted && least - beside <= wanted * 1.1, "{times:?}");
        assert!(quarter - beside <= wanted * 1.1 + 0.5, "{times:?}");

        lab.change_line(&Line::new(1000.0, Duration::from_secs_f64(wanted / 1e3 + 0.05)));
        let times = round_trips(&one, &two, 3, "0.02");
        assert!(times.iter().all(|time| *time >= wanted + 49.0), "{times:?}");
    }
}

#[test]
fn a_line_carries_as_much_as_is_said() {
    for (mbit, least) in [(50.0, 0.95), (200.0, 0.95), (1000.0, 0.5)] {
        let lab = Lab::line(&Line::new(mbit, Duration::from_millis(4)).buffering(Duration::from_millis(40)));
        let [one, two] = lab.hosts() else { panic!("two hosts") };
        let bytes = one.pour_to(two, "cubic", Duration::from_secs(5)).finish().rate(1.0, 5.0);
        // Of 1,514 bytes of a frame, 1,448 are TCP payload.
        let found = bytes * 8.0 / 1e6 * 1514.0 / 1448.0;
        println!("FIGURE line of {mbit} Mbit/s: TCP gets {found:.1} Mbit/s");
        assert!(found <= mbit * 1.05, "{found} Mbit/s");
        // Only a machine with nothing else to do carries a full gigabit.
        assert!(found >= mbit * least, "{found} Mbit/s");
    }
}

#[test]
fn a_line_loses_as_much_as_is_said_and_no_more() {
    let line = Line::new(1000.0, Duration::from_millis(2));
    for (percent, expected) in [(0.0, 1000..=1000), (3.0, 910..=970)] {
        let lab = Lab::line(&line.clone().losing(percent));
        let [one, two] = lab.hosts() else { panic!("two hosts") };
        let come = round_trips(one, two, 1000, "0.002").len();
        println!("FIGURE line that loses {percent} % each way: {come} of 1000 round trips");
        assert!(expected.contains(&come), "{come} of 1000 came back");
    }
}

#[test]
fn a_line_holds_back_what_it_has_room_for_and_loses_the_rest() {
    let lab = Lab::line(&Line::new(20.0, Duration::from_millis(10)).buffering(Duration::from_millis(100)));
    let [one, two] = lab.hosts() else { panic!("two hosts") };
    let flow = one.pour_to(two, "cubic", Duration::from_secs(6));
    let times = round_trips(one, two, 50, "0.1");
    flow.finish();
    let longest = times.iter().copied().fold(0.0, f64::max);
    println!("FIGURE line with a buffer of 100 ms: round trips of {longest:.0} ms at most beside a flow");
    assert!((80.0..150.0).contains(&longest), "{times:?}");
}

const LISTEN: &str = "
import socket, struct
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('', 5353))
s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, struct.pack('4sl', socket.inet_aton('224.0.0.251'), socket.INADDR_ANY))
s.settimeout(20)
print('listening', flush=True)
print(s.recv(100).decode(), flush=True)
";
const TELL: &str = "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.sendto(b'hello all', ('224.0.0.251', 5353))
";

#[test]
fn multicast_passes() {
    let lab = Lab::lan(2);
    let mut listener = lab.hosts()[1]
        .command("python3")
        .args(["-c", LISTEN])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(listener.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "listening");
    run(lab.hosts()[0].command("python3").args(["-c", TELL]));
    assert_eq!(lines.next().unwrap().unwrap(), "hello all");
    assert!(listener.wait().unwrap().success());
}

#[test]
fn a_disk_can_be_small_and_a_folder_read_only() {
    let lab = Lab::lan(1);
    let place = tempfile::tempdir().unwrap();
    let (small, fixed) = (place.path().join("small"), place.path().join("fixed"));
    fs::create_dir(&small).unwrap();
    fs::create_dir(&fixed).unwrap();
    lab.small_disk(&small, 1);
    lab.read_only(&fixed);
    let host = &lab.hosts()[0];
    let write = |path: PathBuf, bytes: &str| {
        let script = format!("head -c {bytes} /dev/zero > '{}'", path.display());
        host.command("sh").args(["-c", &script]).stderr(Stdio::null()).status().unwrap().success()
    };
    assert!(write(small.join("fits"), "500000"));
    assert!(lab.seen_inside(&small.join("fits")).exists() && !small.join("fits").exists());
    assert!(!write(small.join("does not"), "5000000"));
    assert!(!write(fixed.join("any"), "1"));
}

#[test]
fn nothing_is_left_when_a_lab_ends() {
    let named = |folder: &str| fs::read_dir(folder).map_or(0, |entries| entries.count());
    let before = (named("/run/netns"), named("/sys/class/net"));
    let lab = Lab::lan(2);
    assert_eq!(before, (named("/run/netns"), named("/sys/class/net")), "the lab shows outside");
    let keeper = lab.keeper();
    let mut stray = lab.hosts()[0].command("sleep").arg("1000").stdin(Stdio::null()).spawn().unwrap();
    // Until `nsenter` has finished, the program is not inside the lab.
    let name = PathBuf::from(format!("/proc/{}/comm", stray.id()));
    let end = Instant::now() + Duration::from_secs(20);
    while fs::read_to_string(&name).unwrap().trim() != "sleep" {
        assert!(Instant::now() < end, "the program did not start");
        std::thread::yield_now();
    }
    drop(lab);
    assert!(!stray.wait().unwrap().success(), "a program outlived its lab");
    assert!(!Path::new(&format!("/proc/{keeper}")).exists(), "the keeper outlived its lab");
    assert_eq!(before, (named("/run/netns"), named("/sys/class/net")));
}

/// Environment variable that turns the test below into a lab that ends only when it is killed.
const STAY: &str = "YONDER_LAB_STAYS";

#[test]
fn nothing_is_left_when_a_test_is_killed() {
    if std::env::var_os(STAY).is_some() {
        let lab = Lab::lan(1);
        let mut program = lab.hosts()[0].command("sleep").arg("1000").stdin(Stdio::null()).spawn().unwrap();
        println!("\nprocesses {} {}", lab.keeper(), program.id());
        program.wait().unwrap();
        return;
    }
    let mut test = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "laboratory::nothing_is_left_when_a_test_is_killed", "--nocapture"])
        .env(STAY, "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(test.stdout.take().unwrap()).lines();
    let told = lines.find_map(|line| line.unwrap().strip_prefix("processes ").map(str::to_owned)).unwrap();
    let processes: Vec<PathBuf> = told.split(' ').map(|pid| PathBuf::from(format!("/proc/{pid}"))).collect();
    // Until `nsenter` and `setpriv` have finished, the process is not the final program.
    let until = |what: &str, holds: &dyn Fn() -> bool| {
        let end = Instant::now() + Duration::from_secs(20);
        while !holds() {
            assert!(Instant::now() < end, "waited in vain: {what}");
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    until("the program starts", &|| {
        fs::read_to_string(processes[1].join("comm")).is_ok_and(|name| name.trim() == "sleep")
    });
    assert_eq!(processes.len(), 2);
    test.kill().unwrap();
    test.wait().unwrap();
    until("keeper and program are gone", &|| processes.iter().all(|process| is_gone(process)));
}

/// Returns whether a process is gone or a zombie.
fn is_gone(process: &Path) -> bool {
    fs::read_to_string(process.join("stat"))
        .map_or(true, |stat| stat.rsplit(')').next().unwrap().trim().starts_with('Z'))
}
