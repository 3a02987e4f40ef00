//! Tests of mistakes by people and machines: each is answered by a code and a hint, and loses nothing.

use std::{
    fs,
    os::unix::fs::{FileTypeExt, PermissionsExt},
    path::Path,
};

use serde_json::Value;
use yonder_tests::{
    device::{Device, pair},
    tree,
};

/// Returns the contents of all files under a folder, to assert that nothing was changed.
fn contents(folder: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut all: Vec<_> = tree::list(folder)
        .into_iter()
        .filter(|(_, entry)| matches!(entry, tree::Entry::File(..)))
        .map(|(path, _)| (path.clone(), fs::read(folder.join(path)).unwrap()))
        .collect();
    all.sort();
    all
}

#[test]
fn a_data_directory_of_a_newer_version_is_left_alone() {
    let device = Device::loopback("device");
    let first = device.run(["id"]).expect_status(0).lines.remove(0);
    let record = device.data_dir().join("identity.json");
    let old = fs::read_to_string(&record).unwrap();
    let mut newer: Value = serde_json::from_str(&old).unwrap();
    newer["schema"] = 99.into();
    newer["unheard of"] = "a field of the future".into();
    fs::write(&record, newer.to_string()).unwrap();
    let before = contents(device.data_dir());

    for command in ["id", "serve", "devices"] {
        device.run([command]).expect_error(1, &["data_dir_newer"]);
    }
    assert_eq!(before, contents(device.data_dir()), "something was written into it");
    fs::write(&record, old).unwrap();
    assert_eq!(device.run(["id"]).expect_status(0).lines[0]["endpoint_id"], first["endpoint_id"]);
}

#[test]
fn a_data_directory_that_cannot_be_written_is_said() {
    let device = Device::loopback("device");
    fs::create_dir(device.data_dir()).unwrap();
    fs::set_permissions(device.data_dir(), fs::Permissions::from_mode(0o500)).unwrap();
    for command in ["id", "serve"] {
        device.run([command]).expect_error(1, &["data_dir_not_writable"]);
    }
    fs::set_permissions(device.data_dir(), fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(fs::read_dir(device.data_dir()).unwrap().count(), 0);

    // The data directory cannot be created under such a folder either.
    let mut beneath = Device::loopback("beneath");
    let closed = beneath.home().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o500)).unwrap();
    beneath.set_data_dir(closed.join("data"));
    beneath.run(["id"]).expect_error(1, &["data_dir_not_writable"]);
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn an_existing_data_directory_that_turns_read_only_loses_nothing() {
    let device = Device::loopback("device");
    let first = device.run(["id"]).expect_status(0).lines.remove(0);
    let before = contents(device.data_dir());
    fs::set_permissions(device.data_dir(), fs::Permissions::from_mode(0o500)).unwrap();
    device.run(["serve"]).expect_error(1, &["data_dir_not_writable"]);
    fs::set_permissions(device.data_dir(), fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(before, contents(device.data_dir()));
    assert_eq!(device.run(["id"]).expect_status(0).lines[0]["endpoint_id"], first["endpoint_id"]);
}

#[test]
fn a_file_in_place_of_the_data_directory_is_said_and_stays() {
    let device = Device::loopback("device");
    fs::write(device.data_dir(), "somebody's letter").unwrap();
    device.run(["id"]).expect_error(1, &["data_dir_not_a_directory"]);
    device.run(["serve"]).expect_error(1, &["data_dir_not_a_directory"]);
    assert_eq!(fs::read_to_string(device.data_dir()).unwrap(), "somebody's letter");
}

#[test]
fn damaged_files_never_lead_to_a_new_identity() {
    for name in ["identity.json", "secrets.redb"] {
        let device = Device::loopback("device");
        let first = device.run(["id"]).expect_status(0).lines.remove(0);
        let path = device.data_dir().join(name);
        let good = fs::read(&path).unwrap();
        for bad in [&b""[..], &good[..good.len() / 2], b"{\"schema\": \"one\"}"] {
            fs::write(&path, bad).unwrap();
            let finished = device.run(["id"]);
            if finished.status == Some(0) {
                let now = &finished.lines[0];
                assert_eq!(now["endpoint_id"], first["endpoint_id"], "{name}: a new identity");
            } else {
                finished.expect_error(1, &["identity_broken", "storage_corrupt"]);
            }
            fs::write(&path, &good).unwrap();
        }
        assert_eq!(device.run(["id"]).expect_status(0).lines[0]["endpoint_id"], first["endpoint_id"]);
    }
}

#[test]
fn a_second_node_on_one_data_directory_is_told_so() {
    let device = Device::loopback("device");
    let node = device.serve();
    device.run(["serve"]).expect_error(1, &["already_running"]);
    // Commands use the running node.
    let seen = device.run(["id"]).expect_status(0).lines.remove(0);
    assert_eq!(seen["endpoint_id"], node.ready["endpoint_id"]);
    assert_eq!(seen["port"], node.ready["port"]);
}

#[test]
fn the_control_socket_and_the_secrets_are_the_owners_alone() {
    let device = Device::loopback("device");
    let _node = device.serve();
    let mode = |path: &Path| fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(device.data_dir()), 0o700);
    let mut sockets = 0;
    for entry in fs::read_dir(device.data_dir()).unwrap().map(|entry| entry.unwrap()) {
        let mode = mode(&entry.path());
        // An empty lock file reveals nothing.
        let empty = entry.file_type().unwrap().is_file() && entry.metadata().unwrap().len() == 0;
        assert!(empty || mode & 0o077 == 0, "{} has mode {mode:o}", entry.path().display());
        if entry.file_type().unwrap().is_socket() {
            sockets += 1;
            assert_eq!(mode, 0o600);
        }
    }
    assert_eq!(sockets, 1, "the control socket is in the data directory");
}

#[test]
fn a_deep_data_directory_has_its_socket_elsewhere() {
    let mut device = Device::loopback("device");
    let deep = device.home().join("a-folder-with-a-long-name/".repeat(8)).join("data");
    device.set_data_dir(deep);
    let node = device.serve();
    assert_eq!(device.run(["id"]).expect_status(0).lines[0]["endpoint_id"], node.ready["endpoint_id"]);
}

#[test]
fn a_port_that_is_taken_is_said() {
    let device = Device::loopback("device");
    let _taken = std::net::UdpSocket::bind(("127.0.0.1", device.port())).unwrap();
    device.run(["serve"]).expect_error(1, &["port_unavailable"]);
}

#[test]
fn nobody_of_that_name_and_nobody_there_are_told_apart() {
    let (host, joiner) = (Device::loopback("host"), Device::loopback("joiner"));
    let (host_node, _joiner_node) = (host.serve(), joiner.serve());
    let file = joiner.home().join("file");
    fs::write(&file, "x").unwrap();
    let to = |name: &str| joiner.run(["send".as_ref(), name.as_ref(), file.as_os_str()]);
    to("nobody").expect_error(1, &["device_unknown"]);
    joiner.run(["ping", "nobody"]).expect_error(1, &["device_unknown"]);
    joiner.run(["unpair", "nobody"]).expect_error(1, &["device_unknown"]);

    pair(&host, &host_node, &joiner);
    let id = host_node.device_id();
    host_node.stop().expect_status(0);
    to(&id).expect_error(4, &["device_offline", "connection_failed", "connection_timeout"]);
    joiner.run(["ping", &id]).expect_error(4, &["device_offline", "connection_failed", "connection_timeout"]);

    // The host is back, at its last address.
    let _host_node = host.serve();
    to(&id).expect_status(0);
    assert_eq!(fs::read(host.downloads().join("file")).unwrap(), b"x");
}

#[test]
fn nobody_at_the_address_of_a_join_is_said() {
    let joiner = Device::loopback("joiner");
    let _node = joiner.serve();
    let gone = Device::loopback("gone");
    let address = {
        let node = gone.serve();
        node.at()
    };
    joiner.run(["pair", "join", "brave-lion-sunset", "--device", &address, "--approve"]).expect_error(
        4,
        &["no_host_found", "pairing_connection_lost", "connection_failed", "connection_timeout", "device_offline"],
    );
}

#[test]
fn what_cannot_be_read_is_named_and_the_rest_arrives() {
    let (host, joiner) = (Device::loopback("host"), Device::loopback("joiner"));
    let (host_node, _joiner_node) = (host.serve(), joiner.serve());
    pair(&host, &host_node, &joiner);
    let id = host_node.device_id();
    let send = |path: &Path| joiner.run(["send".as_ref(), id.as_ref(), path.as_os_str()]);

    send(&joiner.home().join("is gone")).expect_error(1, &["path_not_found"]);

    let closed = joiner.home().join("closed");
    fs::write(&closed, "secret").unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
    send(&closed).expect_error(1, &["path_unreadable"]);
    assert!(tree::list(&host.downloads()).is_empty());

    let folder = joiner.home().join("folder");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("open"), "open").unwrap();
    fs::rename(&closed, folder.join("closed")).unwrap();
    let finished = send(&folder);
    // In either case the person is told which file it was, and the readable files arrive.
    assert!(finished.stderr.contains("closed"), "{finished:#?}");
    assert_eq!(fs::read(host.downloads().join("folder/open")).unwrap(), b"open", "{finished:#?}");
    assert!(!host.downloads().join("folder/closed").exists());
}

#[test]
fn a_download_folder_that_is_gone_or_closed_is_said_to_both() {
    for closed in [false, true] {
        let (host, joiner) = (Device::loopback("host"), Device::loopback("joiner"));
        let (host_node, _joiner_node) = (host.serve(), joiner.serve());
        pair(&host, &host_node, &joiner);
        let file = joiner.home().join("file");
        fs::write(&file, "x").unwrap();
        if closed {
            fs::set_permissions(host.downloads(), fs::Permissions::from_mode(0o500)).unwrap();
        } else {
            fs::remove_dir(host.downloads()).unwrap();
        }
        let id = host_node.device_id();
        let finished = joiner.run(["send".as_ref(), id.as_ref(), file.as_os_str()]);
        // A deleted folder may be created again; one without permissions is not opened.
        if !closed && finished.status == Some(0) {
            assert_eq!(fs::read(host.downloads().join("file")).unwrap(), b"x");
            continue;
        }
        assert!(matches!(finished.status, Some(1 | 3)), "{finished:#?}");
        assert!(finished.event("error").is_some_and(|error| error["code"] != "internal"), "{finished:#?}");
        assert!(finished.stderr.contains("hint: "), "{finished:#?}");
        fs::create_dir_all(host.downloads()).unwrap();
        fs::set_permissions(host.downloads(), fs::Permissions::from_mode(0o700)).unwrap();
        joiner.run(["send".as_ref(), id.as_ref(), file.as_os_str()]).expect_status(0);
    }
}

#[test]
fn wrong_usage_ends_with_two() {
    let device = Device::loopback("device");
    for arguments in [&["nonsense"][..], &["send"], &["pair"], &["serve", "--accept", "all"]] {
        device.run(arguments).expect_status(2);
    }
    assert!(!device.data_dir().exists(), "wrong usage made an identity");
}
