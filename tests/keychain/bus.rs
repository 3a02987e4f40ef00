//! A session bus with a keyring on it, for the duration of a test.

use std::{
    env,
    process::{Command, Stdio},
};

use tempfile::TempDir;

/// Environment variable that names the scene for the program on the bus.
pub const SCENE: &str = "YONDER_KEYCHAIN_SCENE";
/// Environment variable with the device's data directory.
pub const DATA: &str = "YONDER_KEYCHAIN_DATA";

/// Shell functions for the scripts of the tests. `set -e` ends a script at its first failure.
const WORDS: &str = r#"
set -eu
login=/org/freedesktop/secrets/collection/login
service() { gdbus call --session --dest org.freedesktop.secrets --object-path /org/freedesktop/secrets --method "org.freedesktop.Secret.Service.$@"; }
# Without this, anything that asks for the service would start a daemon that is not the test's.
unlock() { printf password | gnome-keyring-daemon --unlock --components=secrets >/dev/null; gdbus wait --session --timeout 20 org.freedesktop.secrets; }
lock() { service Lock "['$login']" >/dev/null; }
restart() { printf password | gnome-keyring-daemon --replace --unlock --components=secrets >/dev/null; gdbus wait --session --timeout 20 org.freedesktop.secrets; }
# The words between the quotes of identity.json's keychain_entry.
entry() { sed -n 's/.*"keychain_entry": "\(.*\)".*/identity-\1/p' "$YONDER_KEYCHAIN_DATA/identity.json"; }
clear() { secret-tool clear service Yonder username "$(entry)"; }
spoil() { clear; printf '%s' "$1" | secret-tool store --label=spoilt service Yonder username "$(entry)"; }
only_one_entry() { test "$(secret-tool search --all service Yonder 2>/dev/null | grep -c '^secret = ')" = 1; }
secret_is_not_on_disk() {
  secret=$(secret-tool lookup service Yonder username "$(entry)")
  test "${#secret}" = 78
  # HOME with the keyring's own files is searched too.
  if grep -rqai "${secret#yonder-root-1:}" "$HOME" "$YONDER_KEYCHAIN_DATA"; then return 1; fi
}
cli() { "$YONDER_KEYCHAIN_CLI" --data-dir "$YONDER_KEYCHAIN_DATA" --json --mode lan --bind 127.0.0.1 --port 0 "$@"; }
# The device's id, as a node tells it; whatever keystore is on record.
device() { cli id | sed -n 's/.*"device_id":"\([^"]*\)".*/\1/p'; }
same_device() { test "$(device)" = "$(cat "$YONDER_KEYCHAIN_DATA.id")"; }
# `shows TEXT COMMAND..`: the command's output has this text in it.
shows() { text=$1; shift; out=$("$@"); case "$out" in *"$text"*) ;; *) echo "no $text in: $out" >&2; return 1 ;; esac; }
# `fails CODE COMMAND..`: it ends with status 1 and tells this code.
fails() {
  code=$1; shift; status=0; out=$("$@") || status=$?
  test "$status" = 1
  case "$out" in *"\"code\":\"$code\""*) ;; *) echo "no $code in: $out" >&2; return 1 ;; esac
}
entries() { secret-tool search --all service Yonder 2>/dev/null | grep -c '^secret = ' || true; }
serve() {
  "$YONDER_KEYCHAIN_CLI" --data-dir "$YONDER_KEYCHAIN_DATA" --json --mode lan --bind 127.0.0.1 --port 0 serve \
    > "$YONDER_KEYCHAIN_DATA.events" & node=$!
  for _ in $(seq 300); do grep -q '"event":"ready"' "$YONDER_KEYCHAIN_DATA.events" && return 0; sleep 0.1; done
  return 1
}
# A shell's background jobs do not hear Ctrl-C.
stop() { kill -TERM $node; wait $node; }
inside() { YONDER_KEYCHAIN_SCENE=$1 "$YONDER_KEYCHAIN_SELF" --exact inside::scene --nocapture; }
"#;

/// A private HOME with a keyring, and a data directory.
pub struct Keyring {
    home: TempDir,
}

impl Keyring {
    pub fn new() -> Self {
        for tool in ["dbus-run-session", "gnome-keyring-daemon", "secret-tool", "gdbus"] {
            let found = env::split_paths(&env::var_os("PATH").unwrap_or_default()).any(|dir| dir.join(tool).is_file());
            assert!(found, "{tool} is missing: install dbus, gnome-keyring, libsecret-tools and libglib2.0-bin");
        }
        let home = tempfile::tempdir().unwrap();
        for folder in ["home", "run"] {
            std::fs::create_dir(home.path().join(folder)).unwrap();
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let private = std::fs::Permissions::from_mode(0o700);
            std::fs::set_permissions(home.path().join("run"), private).unwrap();
        }
        Self { home }
    }

    /// Runs a script with [`WORDS`] on its own bus; the keyring's files stay for the next script.
    pub fn run(&self, script: &str) {
        let mut command = Command::new("dbus-run-session");
        command.args(["--", "bash", "-c"]);
        self.finish(command, script);
    }

    /// Runs a script with [`WORDS`] without a bus.
    pub fn run_without_bus(&self, script: &str) {
        let mut command = Command::new("bash");
        command.arg("-c");
        self.finish(command, script);
    }

    fn finish(&self, mut command: Command, script: &str) {
        let home = self.home.path();
        let output = command
            .arg(format!("{WORDS}{script}"))
            .env_remove("DBUS_SESSION_BUS_ADDRESS")
            .env_remove("GNOME_KEYRING_CONTROL")
            .env_remove("DISPLAY")
            .env_remove("WAYLAND_DISPLAY")
            .env_remove("XDG_DATA_HOME")
            .env_remove("XDG_CACHE_HOME")
            .env("HOME", home.join("home"))
            .env("XDG_RUNTIME_DIR", home.join("run"))
            .env(DATA, home.join("data"))
            .env("YONDER_KEYCHAIN_SELF", env::current_exe().unwrap())
            .env("YONDER_KEYCHAIN_CLI", yonder_tests::program::cli())
            .env_remove("YONDER_PASSPHRASE")
            .env_remove("YONDER_NEW_PASSPHRASE")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{script}\n--- stdout\n{}\n--- stderr\n{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
}
