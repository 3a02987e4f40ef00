"""What the windows stand on: a network and a screen of their own, a session bus, drivers, and processes that end."""
import json
import os
import pathlib
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time

from webdriver import Page, until

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOLS = ["Xvfb", "WebKitWebDriver", "dbus-run-session", "import", "xdotool", "xprop", "zbarimg", "unshare", "ip", "gio", "xdg-mime"]

# Where a window test has to begin anew inside of something, this says how far it has got.
INSIDE = "YONDER_WINDOW_TEST_INSIDE"


def missing_tools():
    """Names of tools that are not there."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    probe = "import gi; gi.require_version('Gtk', '3.0'); from gi.repository import Gtk"
    if subprocess.run(["/usr/bin/python3", "-c", probe], capture_output=True, check=False).returncode != 0:
        missing.append("gir1.2-gtk-3.0 for /usr/bin/python3")
    return missing


def enter():
    """Starts this program again in a network namespace and under a session bus of its own, once."""
    if os.environ.get(INSIDE) == "yes":
        bring_up_network()
        return
    # A namespace keeps the packets of the test from the machine's network, and that network from the test. Whoever is
    # not root may make one together with a user namespace.
    unshare = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--net", "--user", "--map-root-user"]
    if subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode != 0:
        raise SystemExit("window: no network namespace can be made here (unshare --net)")
    os.environ[INSIDE] = "yes"
    bus = ["dbus-run-session", f"--config-file={ROOT / 'tests/window/bus.conf'}", "--"]
    os.execvp(unshare[0], [*unshare, *bus, sys.executable, *sys.argv])


def bring_up_network():
    """Loopback, and a link that carries multicast: what a laptop on a LAN has, without the LAN."""

    def ip(*words):
        subprocess.run(["ip", *words], check=True)

    ip("link", "set", "lo", "up")
    if subprocess.run(["ip", "link", "add", "lan0", "type", "dummy"], capture_output=True, check=False).returncode != 0:
        ip("link", "add", "lan0", "type", "veth", "peer", "name", "lan1")
        ip("link", "set", "lan1", "up")
    ip("addr", "add", "10.83.0.1/24", "dev", "lan0")
    ip("link", "set", "lan0", "up", "multicast", "on")
    ip("route", "add", "default", "dev", "lan0")


class Stage:
    """Owns every process and folder of the test."""

    def __init__(self, pictures, binary):
        self.pictures = pictures
        self.binary = binary
        self.processes = []
        self.shots = 0
        # Tray and notifications, once they are there.
        self.desktop = None
        self.folder = pathlib.Path(os.environ.get("TMPDIR", "/tmp")) / f"yonder-window-{os.getpid()}"
        self.folder.mkdir(mode=0o700)
        # What stands where the program that opens things is looked for: it notes what it is given, unless nothing is to open.
        self.opened = self.folder / "opened"
        browser = self.folder / "bin" / "xdg-open"
        browser.parent.mkdir()
        self.nothing_opens = self.folder / "nothing-opens"
        browser.write_text(f'#!/bin/sh\n[ -e "{self.nothing_opens}" ] && exit 3\nprintf "%s\\n" "$@" >>"{self.opened}"\n')
        browser.chmod(0o700)
        self.environment = {
            "PATH": f'{browser.parent}:{os.environ["PATH"]}',
            "DBUS_SESSION_BUS_ADDRESS": os.environ["DBUS_SESSION_BUS_ADDRESS"],
            "LANG": "C.UTF-8",
            "GDK_BACKEND": "x11",
            "GSETTINGS_BACKEND": "memory",
            "NO_AT_BRIDGE": "1",
            "LIBGL_ALWAYS_SOFTWARE": "1",
            "RUST_LOG": os.environ.get("RUST_LOG", "warn,yonder_app=info,yonder_core=info"),
            "RUST_BACKTRACE": "1",
        }

    def screen(self):
        """A screen without a monitor; the server chooses a free number."""
        read, write = os.pipe()
        log = open(self.folder / "xvfb.log", "wb")
        command = ["Xvfb", "-displayfd", str(write), "-screen", "0", "1960x1000x24", "-nolisten", "tcp", "-noreset"]
        self.spawn(command, pass_fds=[write], stdout=log, stderr=log)
        os.close(write)
        with os.fdopen(read) as number:
            line = number.readline().strip()
        if not line:
            raise RuntimeError("Xvfb did not start: " + (self.folder / "xvfb.log").read_text())
        self.environment["DISPLAY"] = f":{line}"

    def spawn(self, command, **options):
        """A process that ends with the test, and its children with it."""
        options.setdefault("env", self.environment)
        options.setdefault("stdin", subprocess.DEVNULL)
        process = subprocess.Popen(command, start_new_session=True, **options)
        self.processes.append(process)
        return process

    def home(self, name):
        """Environment of an instance with a home of its own."""
        home = self.folder / name
        for part in ("runtime", "home"):
            (home / part).mkdir(parents=True, exist_ok=True, mode=0o700)
        return {**self.environment, "HOME": str(home / "home"), "XDG_RUNTIME_DIR": str(home / "runtime")}

    def data_dir(self, name):
        """Data directory of an instance."""
        return self.folder / name / "data"

    def arguments(self, name, keystore="plain", usual=False):
        """Arguments of an instance: no keychain, no relay, no question to anybody outside. One in its usual place has no
        directory named."""
        place = [] if usual else ["--data-dir", str(self.data_dir(name))]
        return [*place, "--keystore", keystore, "--mode", "lan"]

    def log(self, name):
        """File that an instance's stderr goes to."""
        return self.folder / f"{name}.log"

    def start(self, name, *given, **more):
        """An instance without a driver, with links or files that it is given to open."""
        environment = {**self.home(name), **more}
        command = [str(self.binary), *self.arguments(name), *map(str, given)]
        with open(self.log(name), "ab") as log:
            return self.spawn(command, env=environment, stdout=log, stderr=log)

    def start_usual(self, name):
        """An instance without a driver, with its data in the usual place."""
        with open(self.log(name), "ab") as log:
            return self.spawn([str(self.binary), *self.arguments(name, usual=True)], env=self.home(name), stdout=log, stderr=log)

    def driven(self, name, *given, prefix=(), **kind):
        """An instance whose page is driven, with links or files that it is given to open; `prefix` starts it."""
        environment = {**self.home(name), "TAURI_WEBVIEW_AUTOMATION": "true", "TAURI_AUTOMATION": "true"}
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        driver_log = open(self.folder / f"{name}-driver.log", "wb")
        command = ["WebKitWebDriver", f"--port={port}", "--host=127.0.0.1"]
        self.spawn(command, env=environment, stdout=driver_log, stderr=driver_log)
        until(f"driver of {name}", 10, lambda: listens(port))
        # The driver starts the app and swallows what it says; this keeps it, and its process id.
        wrapper = self.folder / f"{name}-start"
        pid = self.folder / f"{name}.pid"
        starts = shlex.join([*prefix, str(self.binary)])
        wrapper.write_text(f'#!/bin/sh\necho $$ >"{pid}"\nexec {starts} "$@" 2>>"{self.log(name)}"\n')
        wrapper.chmod(0o700)
        return Instance(self, name, Page(port, wrapper, [*self.arguments(name, **kind), *given]), int(pid.read_text()))

    def xdotool(self, *words):
        """One call of xdotool; its output."""
        command = ["xdotool", *map(str, words)]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False, timeout=20)
        return done.stdout.strip()

    def urgent(self, window):
        """A window asks its manager to call the person (ICCCM 4.1.2.4)."""
        command = ["xprop", "-id", str(window), "WM_HINTS"]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False, timeout=20)
        return "urgency hint bit is set" in done.stdout

    def window_of(self, pid):
        """X11 id of the visible main window of a process, or None."""
        # `search` takes all conditions only with --all, and does not tell large letters from small ones: the toolkit has a
        # window of one pixel that is called after the program.
        found = self.xdotool("search", "--all", "--onlyvisible", "--pid", pid, "--name", r"^(\([0-9]+\) )?Yonder$").split()
        own = [window for window in found if self.xdotool("getwindowname", window).endswith("Yonder")]
        return own[-1] if own else None

    def shot(self, name, window="root"):
        """Saves what is on the screen as a numbered picture, and gives its path."""
        self.shots += 1
        path = self.pictures / f"{self.shots:02}-{name}.png"
        subprocess.run(["import", "-silent", "-window", window, str(path)], env=self.environment, check=True, timeout=30)
        return path

    def pixels(self, window):
        """What a window shows now, three bytes for each pixel; empty if there is no picture of it."""
        command = ["import", "-silent", "-window", window, "-depth", "8", "ppm:-"]
        done = subprocess.run(command, env=self.environment, capture_output=True, check=False, timeout=20)
        # "P6\nWIDTH HEIGHT\n255\n", and then the pixels.
        return done.stdout.split(b"\n", 3)[3] if done.stdout.count(b"\n") >= 3 else b""

    def colours(self, window):
        """How many colours a window shows now."""
        pixels = self.pixels(window)
        # Every fifth pixel is enough.
        return len({pixels[at : at + 3] for at in range(0, len(pixels), 15)})

    def settled(self, window):
        """Waits until a window shows something, and the same as a moment ago. A cursor may blink meanwhile."""
        seen = []

        def same():
            now = self.pixels(window)
            again = now in seen
            seen.append(now)
            return again and len(set(now[::15])) > 8

        until("a window at rest", 10, same)

    def drag(self, files, to_x, to_y):
        """Drags files with the mouse from a window of another program to a place on the screen."""
        x, y = 60, 760
        command = ["/usr/bin/python3", str(ROOT / "tests/window/drag_source.py"), str(x), str(y), *map(str, files)]
        log = open(self.folder / "drag.log", "ab")
        source = self.spawn(command, stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            if source.stdout.readline().strip() != "ready":
                raise RuntimeError("the drag source did not start: " + (self.folder / "drag.log").read_text())
            from_x, from_y = x + 120, y + 60
            self.xdotool("mousemove", from_x, from_y)
            # A window that has just come up may not have the pointer yet; the drag waits until the toolkit knows.
            time.sleep(0.25)
            self.xdotool("mousedown", 1)
            steps = 8
            for step in range(1, steps + 1):
                time.sleep(0.15)
                part = step / steps
                self.xdotool("mousemove", round(from_x + (to_x - from_x) * part), round(from_y + (to_y - from_y) * part))
            # Over the card, a little to and fro, as a hand does.
            for off in (3, -3, 0):
                time.sleep(0.15)
                self.xdotool("mousemove", round(to_x) + off, round(to_y))
            yield "over"
            self.xdotool("mouseup", 1)
            os.set_blocking(source.stdout.fileno(), False)
            until("end of the drag", 15, lambda: (source.stdout.readline() or "").strip() == "ended")
            yield "dropped"
        finally:
            self.xdotool("mouseup", 1)
            self.end(source)

    def clipboard(self, picture):
        """Puts a picture on the clipboard, as a screenshot tool does; it is there until this process ends."""
        command = ["/usr/bin/python3", str(ROOT / "tests/window/clipboard.py"), str(picture)]
        log = open(self.folder / "clipboard.log", "ab")
        owner = self.spawn(command, stdout=subprocess.PIPE, stderr=log, text=True)
        if owner.stdout.readline().strip() != "ready":
            raise RuntimeError("no clipboard: " + (self.folder / "clipboard.log").read_text())
        return owner

    def end(self, process):
        """Ends a process and what it started."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(process.pid, number)
            except ProcessLookupError:
                break
            try:
                process.wait(5)
                break
            except subprocess.TimeoutExpired:
                continue

    def clear(self, keep):
        """Ends everything; keeps the logs where something failed."""
        for process in reversed(self.processes):
            self.end(process)
        if keep:
            print(f"window: logs and data are kept in {self.folder}", flush=True)
        else:
            shutil.rmtree(self.folder, ignore_errors=True)


class Desktop:
    """Tray and notifications on the session bus: `desktop.py`, told and listened to."""

    def __init__(self, stage):
        command = ["/usr/bin/python3", str(ROOT / "tests/window/desktop.py")]
        log = open(stage.folder / "desktop.log", "ab")
        pipe = subprocess.PIPE
        self.process = stage.spawn(command, stdin=pipe, stdout=pipe, stderr=log, text=True, bufsize=1)
        os.set_blocking(self.process.stdout.fileno(), False)
        self.heard = []
        for name in ("org.kde.StatusNotifierWatcher", "org.freedesktop.Notifications"):
            self.wait(name, lambda said, name=name: said.get("owns") == name)
        stage.desktop = self

    def tell(self, *words):
        """Has it do something."""
        self.process.stdin.write(json.dumps(words) + "\n")

    def hear(self, fits):
        """The first thing it said that fits, taken off the list; or None."""
        while line := self.process.stdout.readline():
            said = json.loads(line)
            if "error" in said:
                raise RuntimeError(said["error"])
            self.heard.append(said)
        found = next((said for said in self.heard if fits(said)), None)
        if found:
            self.heard.remove(found)
        return found

    def wait(self, what, fits, seconds=15):
        """As `hear`, but waits for it."""
        return until(what, seconds, lambda: self.hear(fits))


class Instance:
    """A window of Yonder with its page."""

    def __init__(self, stage, name, page, pid):
        self.stage, self.name, self.page, self.pid = stage, name, page, pid
        self.window = until(f"window of {name}", 10, lambda: stage.window_of(pid))

    def place(self, x, y):
        """Moves the window. There is no window manager to say otherwise."""
        self.stage.xdotool("windowmove", "--sync", self.window, x, y)

    def on_screen(self, css):
        """Middle of an element, in pixels of the screen."""
        shell = self.stage.xdotool("getwindowgeometry", "--shell", self.window)
        at = dict(line.split("=", 1) for line in shell.splitlines())
        x, y = self.page.middle(css)
        return int(at["X"]) + x, int(at["Y"]) + y


def listens(port):
    """Somebody answers on this port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
