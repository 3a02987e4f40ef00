//! Tests of a data directory that somebody else has prepared, and of what a node reveals to others: its output, its
//! environment, its memory after a crash.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, chown, symlink},
    path::{Path, PathBuf},
};

use yonder_tests::{
    device::{Device, text},
    measure::until,
    program::TEST_TIMEOUT,
    tree,
};

/// Files and folders that a node creates in its data directory, including temporary names.
const FILES: [&str; 12] = [
    ".writable",
    "identity.lock",
    "identity.json",
    "identity.json.new",
    "root.plain",
    "root.plain.new",
    "secrets.lock",
    "secrets.redb",
    "secrets.redb.new",
    "control.sock",
    "control.path",
    "control.path.tmp",
];
const FOLDERS: [&str; 2] = ["logs", "spool"];

/// Creates a data directory in which this name is a link to somebody's own file.
fn with_link(device: &Device, name: &str, target: &Path) {
    fs::create_dir(device.data_dir()).unwrap();
    fs::set_permissions(device.data_dir(), fs::Permissions::from_mode(0o700)).unwrap();
    symlink(target, device.data_dir().join(name)).unwrap();
}

fn run_for_a_moment(device: &Device) {
    let mut node = device.start_serve(&["--accept", "none"]);
    // The node may refuse the folder or replace the link; the link's target stays as it is in either case.
    if node.find(TEST_TIMEOUT, |line| line["event"] == "ready" || line["event"] == "error").is_some() {
        device.run(["devices"]);
        node.interrupt();
    }
    node.finish(TEST_TIMEOUT);
}

#[test]
fn links_in_a_prepared_data_directory_lead_nowhere() {
    for name in FILES {
        for exists in [true, false] {
            let device = Device::loopback("alpha");
            let precious = device.home().join("precious");
            if exists {
                fs::write(&precious, "precious").unwrap();
            }
            with_link(&device, name, &precious);
            run_for_a_moment(&device);
            if exists {
                assert_eq!(fs::read_to_string(&precious).unwrap(), "precious", "{name}");
                assert_eq!(fs::metadata(&precious).unwrap().permissions().mode() & 0o777, 0o644, "{name}");
            } else {
                assert!(!precious.exists(), "{name} made the file that a link led to");
            }
        }
    }
    for name in FOLDERS {
        let device = Device::loopback("alpha");
        let theirs = device.home().join("theirs");
        fs::create_dir(&theirs).unwrap();
        fs::write(theirs.join("stream-1"), "precious").unwrap();
        fs::write(theirs.join("yonder.log"), "precious").unwrap();
        let before = tree::list(&theirs);
        with_link(&device, name, &theirs);
        run_for_a_moment(&device);
        assert_eq!(tree::list(&theirs), before, "{name}");
        assert_eq!(fs::read_to_string(theirs.join("yonder.log")).unwrap(), "precious", "{name}");
    }
}

#[test]
fn a_log_that_is_a_link_is_not_written_to() {
    let device = Device::loopback("alpha");
    let precious = device.home().join("precious");
    fs::write(&precious, "precious").unwrap();
    fs::create_dir_all(device.data_dir().join("logs")).unwrap();
    fs::set_permissions(device.data_dir(), fs::Permissions::from_mode(0o700)).unwrap();
    symlink(&precious, device.data_dir().join("logs/yonder.log")).unwrap();
    run_for_a_moment(&device);
    assert_eq!(fs::read_to_string(&precious).unwrap(), "precious");
}

#[test]
fn a_data_directory_of_another_user_is_refused() {
    let mut device = Device::loopback("alpha");
    let theirs = if rustix::process::geteuid().is_root() {
        let theirs = device.home().join("theirs");
        fs::create_dir(&theirs).unwrap();
        chown(&theirs, Some(12345), None).unwrap();
        fs::set_permissions(&theirs, fs::Permissions::from_mode(0o777)).unwrap();
        theirs
    } else {
        PathBuf::from("/usr")
    };
    let before = fs::read_dir(&theirs).unwrap().count();
    device.set_data_dir(&theirs);
    device.run(["id"]).expect_error(1, &["data_dir_foreign"]);
    device.start_serve(&[]).finish(TEST_TIMEOUT).expect_error(1, &["data_dir_foreign"]);
    assert_eq!(fs::read_dir(&theirs).unwrap().count(), before, "nothing is put there");
}

#[test]
fn a_folder_that_all_may_write_to_is_refused_where_it_holds_other_things() {
    let mut device = Device::loopback("alpha");
    let open = device.home().join("open");
    fs::create_dir(&open).unwrap();
    fs::write(open.join("letter"), "dear").unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o1777)).unwrap();
    device.set_data_dir(&open);
    device.run(["id"]).expect_error(1, &["data_dir_foreign"]);
    // An empty directory becomes the device's own.
    fs::remove_file(open.join("letter")).unwrap();
    device.run(["id"]).expect_status(0);
    assert_eq!(fs::metadata(&open).unwrap().permissions().mode() & 0o7777, 0o700);
}

#[test]
fn what_serve_prints_holds_no_code() {
    for json in [true, false] {
        let host = Device::loopback("host");
        let mut command = host.command(["serve"]);
        if !json {
            let arguments: Vec<_> =
                command.get_args().filter(|argument| *argument != "--json").map(ToOwned::to_owned).collect();
            let program = command.get_program().to_owned();
            let values: Vec<_> =
                command.get_envs().map(|(name, value)| (name.to_owned(), value.map(ToOwned::to_owned))).collect();
            command = std::process::Command::new(program);
            command.args(arguments);
            for (name, value) in values {
                match value {
                    Some(value) => command.env(name, value),
                    None => command.env_remove(name),
                };
            }
        }
        let mut node = yonder_tests::program::Running::start(command, "serve");
        node.expect("a node", TEST_TIMEOUT, |line| {
            line["event"] == "ready" || line.as_str().is_some_and(|text| text.contains("Ready."))
        });
        let mut hosting = host.start(["pair", "host", "--approve"]);
        let code = hosting.expect_event("code");
        let (words, link) = (text(&code, "words"), text(&code, "link"));
        hosting.interrupt();
        hosting.finish(TEST_TIMEOUT);
        node.interrupt();
        let said = node.finish(TEST_TIMEOUT);
        let printed = format!("{:?}{}", said.lines, said.stderr);
        let secret = link.rsplit_once("&s=").unwrap().1;
        assert!(!printed.contains(&words) && !printed.contains(secret), "{printed}");
        if json {
            let told = said.lines.iter().any(|line| line["event"] == "pairing" && line["pairing"]["step"] == "hosting");
            assert!(told, "that a code is shown is told: {printed}");
        }
    }
}

/// Returns the `/proc` folders of this process's children.
fn children(pid: u32) -> Vec<PathBuf> {
    let is_child = |path: &Path| {
        let status = fs::read_to_string(path.join("status")).unwrap_or_default();
        status.lines().any(|line| line.strip_prefix("PPid:").is_some_and(|parent| parent.trim() == pid.to_string()))
    };
    fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path()).filter(|path| is_child(path)).collect()
}

#[test]
fn a_passphrase_of_the_environment_is_not_handed_on_and_no_core_is_dumped() {
    const CANARY: &str = "a passphrase that nobody else gets";
    let mut command = std::process::Command::new(yonder_tests::program::cli());
    for name in ["YONDER_PASSPHRASE", "YONDER_NEW_PASSPHRASE", "YONDER_BACKUP_PASSPHRASE", "YONDER_RELAY_TOKEN"] {
        command.env(name, CANARY);
    }
    command.args(["--json", "demo"]);
    let demo = yonder_tests::program::Running::start(command, "demo");
    let (environment, limits) = until("a child of the demo", TEST_TIMEOUT, || {
        children(demo.pid()).into_iter().find_map(|child| {
            let environment = fs::read(child.join("environ")).ok().filter(|found| !found.is_empty())?;
            // Between fork and exec, the child still shows the parent's image.
            let arguments = fs::read(child.join("cmdline")).ok()?;
            let serves = arguments.split(|byte| *byte == 0).any(|argument| argument == b"serve");
            serves.then(|| (environment, fs::read_to_string(child.join("limits")).unwrap_or_default()))
        })
    });
    assert!(!String::from_utf8_lossy(&environment).contains(CANARY));
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap_or_default();
    let soft = core.trim_start_matches("Max core file size").split_whitespace().next();
    assert!(matches!(soft, Some("0" | "1")), "{core:?}");
    demo.finish(TEST_TIMEOUT * 2).expect_status(0);
}
