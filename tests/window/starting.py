"""How a window starts where something is missing, what its menus are, and how it ends while transfers are under way."""
import os
import signal
import subprocess

import away
from steps import DEADLINE, STEP, equal, press, ready, snapshot, test_id, there
from webdriver import DriverError, until

PASSPHRASE = "correct horse battery staple"


def play(stage, check):
    """Each start by itself."""
    check("without a display it says so and leaves", lambda: no_display(stage))
    for name, change in (
        ("without a session bus", {"DBUS_SESSION_BUS_ADDRESS": f"unix:path={stage.folder}/no-bus"}),
        ("without a home", {"HOME": None}),
        ("without a runtime directory", {"XDG_RUNTIME_DIR": None}),
        ("with a log that cannot be kept", {"XDG_STATE_HOME": "/proc/nowhere", "XDG_CACHE_HOME": "/proc/nowhere", "XDG_CONFIG_HOME": "/proc/nowhere"}),
    ):
        check(f"{name} there is a window", lambda name=name, change=change: opens(stage, name, change))
    check("with a home that is read-only the page says so", lambda: read_only(stage, "readonly", False))
    check("and so it does where it was writable before", lambda: read_only(stage, "readonly-later", True))
    check("with a data directory that is read-only, too", lambda: read_only_data(stage))

    first = check("a first start without a keychain asks to choose a passphrase", lambda: no_keychain(stage))
    check("the passphrase starts the device", lambda: chosen(first))
    check("the web view's menu opens in fields alone", lambda: menus(stage, first))
    node = check("a device without a window", lambda: away.Node(stage, "Barn"))
    check("it is paired", lambda: away.pair(first, node))
    check("a transfer is under way", lambda: under_way(stage, first, node))
    check("quitting asks, and the person stays", lambda: asks(stage, first))
    check("quitting by the close button asks, too", lambda: asks_by_close(stage, first))
    check("the person quits", lambda: leaves(first))
    check("the transfer continues at the next start", lambda: continues(stage, node))
    stage.end(node.process)


def without(environment, change):
    """An environment with some of it changed or taken away."""
    return {name: value for name, value in {**environment, **change}.items() if value is not None}


def no_display(stage):
    """A plain message and status 1."""
    environment = without(stage.home("dark"), {"DISPLAY": None, "WAYLAND_DISPLAY": None})
    command = [str(stage.binary), *stage.arguments("dark")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=DEADLINE * 3)
    equal(done.returncode, 1, f"exit status, having said {done.stderr}")
    assert "no display" in done.stderr and "panicked" not in done.stderr, done.stderr


def opens(stage, name, change):
    """A window with a picture in it, which ends in good order."""
    name = name.replace(" ", "-")
    log = open(stage.log(name), "ab")
    process = stage.spawn([str(stage.binary), *stage.arguments(name)], env=without(stage.home(name), change), stdout=log, stderr=log)
    window = until("a window", DEADLINE * 2, lambda: stage.window_of(process.pid))
    until("a picture in the window", DEADLINE * 2, lambda: stage.colours(window) > 8)
    process.send_signal(signal.SIGTERM)
    equal(process.wait(20), 0, "exit status")
    assert "panicked" not in stage.log(name).read_text(), stage.log(name).read_text()


def on_read_only(folder):
    """What starts a program that sees this folder read-only, even as root."""
    script = f'mount --bind "{folder}" "{folder}" && mount -o remount,bind,ro "{folder}" && exec "$@"'
    return ["unshare", "--mount", "sh", "-c", script, "sh"]


def read_only(stage, name, before):
    """The page that says why the device does not start, and no panic."""
    home = stage.folder / name / "home"
    stage.home(name)
    if before:
        process = stage.start_usual(name)
        until("a window", DEADLINE * 2, lambda: stage.window_of(process.pid))
        process.send_signal(signal.SIGTERM)
        equal(process.wait(20), 0, "exit status")
    fails(stage, name, on_read_only(home), usual=True)


def read_only_data(stage):
    """Only the data directory cannot be written."""
    place = stage.data_dir("readonly-data")
    stage.home("readonly-data")
    place.mkdir()
    fails(stage, "readonly-data", on_read_only(place), usual=False)


def fails(stage, name, prefix, usual):
    """A start that fails is told in the window."""
    instance = stage.driven(name, usual=usual, prefix=prefix)
    until("the page that says why", STEP, lambda: instance.page.count(test_id("start-failed")))
    until("the end of the try", STEP, lambda: instance.page.attribute(test_id("start-failed"), "data-busy") == "false")
    stage.shot(name)
    text = instance.page.text(test_id("start-failed"))
    assert "ead-only" in text, f"the page says {text!r}"
    instance.page.close()
    assert "panicked" not in stage.log(name).read_text(), stage.log(name).read_text()


def no_keychain(stage):
    """Nothing looks like a crash, and whoever types types into the field."""
    instance = stage.driven("fresh", keystore="auto")
    until("a start that waits", STEP, lambda: instance.page.count(test_id("start-failed") + '[data-code="keystore_unavailable"][data-busy="false"]'))
    stage.shot("choose-a-passphrase")
    equal(instance.page.run("return document.querySelector('h1').textContent"), "Choose a passphrase", "title")
    equal(instance.page.run("return document.activeElement.dataset.testid"), "start-passphrase", "where the keyboard is")
    equal(instance.page.run("return document.querySelector(arguments[0]).open", test_id("start-details")), False, "details are open")
    shown = instance.page.text('[role="alert"]')
    assert "zbus" not in shown and "latform" not in shown, f"the page says {shown!r}"
    return instance


def chosen(instance):
    """Typed twice, it starts the device."""
    for field in ("start-passphrase", "start-passphrase-again"):
        instance.page.type(test_id(field), PASSPHRASE)
    press(instance.page, "start-unlock")
    ready(instance)
    equal(instance.page.invoke("call", {"cmd": "identity"})["ok"]["value"]["keystore"], "file", "where the secret is kept")


def windows(stage, pid):
    """All that this process shows: menus are windows of their own."""
    return stage.xdotool("search", "--all", "--onlyvisible", "--pid", pid, "--name", "").split()


def menus(stage, instance):
    """Right clicks, and the key for menus."""
    instance.place(980, 0)
    before = len(windows(stage, instance.pid))

    def clicked(css):
        stage.xdotool("mousemove", *map(round, instance.on_screen(css)), "click", 3)

    for css in (test_id("pair-open"), "header", "main"):
        clicked(css)
        instance.page.run("return 0")
        equal(len(windows(stage, instance.pid)), before, f"windows after a right click on {css}")
    stage.xdotool("key", "Menu")
    equal(len(windows(stage, instance.pid)), before, "windows after the menu key")
    stage.shot("no-menu")
    instance.page.click(test_id("pair-open"))
    there(instance.page, "pair-tab-join")
    instance.page.click(test_id("pair-tab-join"))
    there(instance.page, "pair-input")
    clicked(test_id("pair-input"))
    until("a menu in a field", STEP, lambda: len(windows(stage, instance.pid)) > before)
    stage.shot("menu-of-a-field")
    stage.xdotool("key", "Escape")
    until("the end of the menu", STEP, lambda: len(windows(stage, instance.pid)) == before)
    press(instance.page, "pair-close")


def under_way(stage, instance, node):
    """A transfer that takes its time."""
    film = stage.folder / "a long film.raw"
    film.write_bytes(os.urandom(60_000_000))
    answer = instance.page.invoke("call", {"cmd": "set_setting", "key": "limit", "value": "1000000"})
    assert "ok" in answer, answer
    card = '[aria-label="Barn"]'
    until("a session", STEP, lambda: instance.page.attribute(card, "data-state") == "connected")
    for _state in stage.drag([film], *instance.on_screen(card)):
        pass
    until("a transfer under way", STEP, lambda: any(each["state"] == "active" for each in snapshot(instance)["transfers"]))
    return node


def asked(stage, instance, name):
    """The question, and what it says."""
    there(instance.page, "quit-transfer")
    # While the dialog rises, the driver counts part of it as not to be seen.
    said = instance.page.run("return document.querySelector(arguments[0]).textContent", test_id("quit-dialog"))
    for part in ("a long film.raw", "Barn", "continues by itself"):
        assert part in said, f"the question says {said!r}"
    until("a dialog that has risen", STEP, lambda: instance.page.run("return getComputedStyle(document.querySelector('[role=dialog]')).opacity") == "1")
    stage.shot(name)


def asks(stage, instance):
    """By the keyboard."""
    instance.page.run("document.dispatchEvent(new KeyboardEvent('keydown', { key: 'q', ctrlKey: true, bubbles: true }))")
    asked(stage, instance, "quit")
    press(instance.page, "quit-stay")
    until("the end of the question", STEP, lambda: instance.page.count(test_id("quit-dialog")) == 0)
    assert stage.window_of(instance.pid), "the window has gone"


def asks_by_close(stage, instance):
    """By the window manager; where a tray shows the icon, the window hides, and the tray's menu is another test's."""
    closer = ["/usr/bin/python3", str(away.ROOT / "tests/window/close_window.py"), instance.window]
    subprocess.run(closer, env=stage.environment, check=True, timeout=20)
    if stage.desktop:
        until("the window is hidden", STEP, lambda: not stage.window_of(instance.pid))
        stage.desktop.tell("click", "Quit")
        until("the window is back", STEP, lambda: stage.window_of(instance.pid))
    asked(stage, instance, "quit-by-close")


def leaves(instance):
    """The answer is yes."""
    try:
        instance.page.click(test_id("quit-leave"))
    except DriverError:
        # The program may end before the driver has the answer to the click.
        pass
    until("the end of the program", STEP, lambda: ended(instance.pid))


def ended(pid):
    """There is no such process any more, or only its exit status is left."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
            return stat.read().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def continues(stage, node):
    """Nothing was lost by it."""
    again = stage.driven("fresh", keystore="auto")
    until("the field", STEP * 2, lambda: again.page.count(test_id("start-passphrase")))
    again.page.type(test_id("start-passphrase"), PASSPHRASE)
    press(again.page, "start-unlock")
    ready(again)
    again.page.invoke("call", {"cmd": "set_setting", "key": "limit", "value": "0"})
    until("the rest of it", STEP * 3, lambda: any(each["state"] == "done" for each in snapshot(again)["transfers"]))
    whole = (stage.folder / "a long film.raw").read_bytes()
    assert (node.downloads / "a long film.raw").read_bytes() == whole, "other bytes"
    again.page.close()
