"""Devices that are away: their cards stay where they are and cost nothing, and a drop lands where it was aimed."""
import json
import os
import pathlib
import signal
import subprocess
import threading
import time

from stage import ROOT
from steps import STEP, confirm, equal, press, ready, snapshot, test_id
from webdriver import until

CLI = pathlib.Path(os.environ.get("YONDER_CLI", ROOT / "target/debug/yonder-cli")).resolve()
# Seconds for which nobody touches anything, first with all devices connected and then with two away.
AWAY = int(os.environ.get("YONDER_AWAY_SECONDS", "30"))
# Most percent of a core that the window may take beyond what it takes with all devices connected. Measured on a quiet machine: 0.3
# to 0.4 in both cases. A page that draws or asks again and again takes several.
MORE = 0.3
# So many drops while another device comes and goes.
DROPS = int(os.environ.get("YONDER_DROPS", "8"))

# Notes each change of a card's state or place until it is read.
RECORD = """
    const cards = () => [...document.querySelectorAll('[data-testid="device-card"][data-paired="true"]')];
    window.places = [];
    window.states = {};
    const note = () => {
        const place = JSON.stringify(cards().map((card) => [card.dataset.deviceId, card.getBoundingClientRect()]));
        if (window.places.at(-1) !== place) window.places.push(place);
        for (const card of cards()) {
            const states = (window.states[card.getAttribute('aria-label')] ??= []);
            if (states.at(-1) !== card.dataset.state) states.push(card.dataset.state);
        }
    };
    note();
    new MutationObserver(note).observe(document.body, { subtree: true, childList: true, attributes: true, characterData: true });
"""


class Node:
    """A device without a window, which is killed and started again."""

    def __init__(self, stage, name):
        self.stage, self.name = stage, name
        self.downloads = stage.folder / name / "downloads"
        self.downloads.mkdir(parents=True)
        self.process = None
        self.start()
        self.cli("settings", "name", name)

    def command(self, *words):
        place = self.stage.folder / self.name / "data"
        return [str(CLI), "--data-dir", str(place), "--keystore", "plain", "--mode", "lan", "--port", "0", "--json", *words]

    def cli(self, *words):
        """One command; the objects that it prints."""
        done = subprocess.run(self.command(*words), env=self.stage.home(self.name), capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, f"{words}: {done.stderr}"
        return [json.loads(line) for line in done.stdout.splitlines()]

    def start(self):
        log = open(self.stage.log(self.name), "ab")
        command = self.command("serve", "--accept", "paired", "--download-dir", str(self.downloads))
        self.process = self.stage.spawn(command, env=self.stage.home(self.name), stdout=subprocess.PIPE, stderr=log, text=True)
        assert '"ready"' in self.process.stdout.readline(), f"{self.name} did not start"
        # What it says later is read by nobody, and must not stop it.
        threading.Thread(target=self.process.stdout.read, daemon=True).start()

    def kill(self):
        """As a power cut does."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def play(stage, check):
    """A window, and three devices without one."""
    one = check("a window for devices that come and go", lambda: stage.driven("watcher"))
    one.place(980, 0)
    check("its page has heard from its core", lambda: ready(one))
    nodes = [check(f"{name} starts", lambda name=name: Node(stage, name)) for name in ("Study", "Attic", "Kitchen")]
    for node in nodes:
        check(f"{node.name} is paired", lambda node=node: pair(one, node))
    check("all three are connected", lambda: states(one, {node.name: "connected" for node in nodes}))
    stage.shot("three-devices")
    order = cards(one)
    equal(order, [node.name for node in nodes], "order of the cards")
    connected = check(f"{AWAY} s with all of them connected are measured", lambda: cost(one))

    study, attic, kitchen = nodes
    one.page.run(RECORD)
    for node in (study, attic):
        node.kill()
    check("two are lost, and then away", lambda: states(one, {"Study": "offline", "Attic": "offline", "Kitchen": "connected"}))
    stage.shot("two-away")
    check(f"{AWAY} s of it cost no more", lambda: no_more(cost(one), connected))
    check("no card moved, and each was reconnecting once", lambda: stood_still(one))
    stage.shot("two-away-later")

    check("a card is moved by the keyboard", lambda: moved(one))
    stage.shot("moved")
    for node in (study, attic):
        node.start()
    check("both are back", lambda: states(one, {node.name: "connected" for node in nodes}))
    equal(cards(one), ["Kitchen", "Study", "Attic"], "order of the cards")
    check(f"{DROPS} drops while a device comes and goes land where they were aimed", lambda: drops(stage, one, attic, study))
    one.page.close()
    again = check("the window comes back", lambda: stage.driven("watcher"))
    ready(again)
    check("with the cards in their order", lambda: equal(cards(again), ["Kitchen", "Study", "Attic"], "order"))
    again.page.close()
    for node in nodes:
        stage.end(node.process)


def pair(one, node):
    """By words, approved on both sides: here by a person, in a dialog of the window."""
    answer = one.page.invoke("call", {"cmd": "pair_host", "approve": False, "level": None, "words": 3})
    assert "ok" in answer, answer
    code = until("a code", STEP, lambda: snapshot(one)["pairing"].get("words"))
    code = code if isinstance(code, str) else "-".join(code)
    endpoint = snapshot(one)["identity"]
    at = f'{endpoint["endpoint_id"]}@127.0.0.1:{endpoint["port"]}'
    command = node.command("pair", "join", code, "--device", at, "--approve")
    joining = one.stage.spawn(command, env=one.stage.home(node.name), stdout=subprocess.DEVNULL)
    press(one.page, "pair-approve")
    over = f"return !document.querySelector('{test_id('pair-approve')}')"
    confirm(one.stage, "m", lambda: one.page.run(over))
    equal(joining.wait(STEP * 2), 0, f"exit status of the pairing of {node.name}")
    until(f"{node.name} in the page", STEP, lambda: node.name in cards(one))
    one.page.invoke("call", {"cmd": "pair_cancel"})
    # The order of the cards is that of the pairings, whose time is kept in seconds: the next one is a later one.
    now = int(time.time())
    until("the next second", STEP, lambda: int(time.time()) > now)
    until("no dialog", STEP, lambda: close_dialog(one))


def close_dialog(one):
    """The pairing says that it is done, until somebody closes it."""
    if one.page.count(test_id("pair-close")):
        one.page.click(test_id("pair-close"))
    return one.page.count('[role="dialog"]') == 0


def cards(one):
    """Names on the cards of paired devices, in their order."""
    return one.page.run("return [...document.querySelectorAll('[data-testid=\"device-card\"][data-paired=\"true\"]')].map((card) => card.getAttribute('aria-label'))")


def states(one, wanted):
    """The cards of paired devices say so; windows of other scenes may be nearby, too."""
    now = "return Object.fromEntries([...document.querySelectorAll('[data-testid=\"device-card\"][data-paired=\"true\"]')].map((card) => [card.getAttribute('aria-label'), card.dataset.state]))"
    until(f"the states {wanted}", STEP * 3, lambda: one.page.run(now) == wanted)


def processes(pid):
    """A process and all that it started."""
    found = [pid]
    for parent in found:
        for task in pathlib.Path(f"/proc/{parent}/task").glob("*/children"):
            found += [int(child) for child in task.read_text().split()]
    return found


def ticks(pid):
    """Processor time of a window with its web view, in seconds."""
    total = {}
    for each in processes(pid):
        stat = pathlib.Path(f"/proc/{each}/stat").read_text()
        name, fields = stat[stat.index("(") + 1 : stat.rindex(")")], stat[stat.rindex(")") + 2 :].split()
        total[f"{name} {each}"] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total


def cost(one):
    """Percent of a core that the window takes while nobody looks at it through the driver."""
    time.sleep(3)
    before, began = ticks(one.pid), time.monotonic()
    time.sleep(AWAY)
    took = time.monotonic() - began
    each = {name: 100 * (spent - before.get(name, 0)) / took for name, spent in ticks(one.pid).items()}
    print("          " + ", ".join(f"{name}: {share:.2f} %" for name, share in each.items()), flush=True)
    return sum(each.values())


def no_more(away, connected):
    """Compares two costs of one run, because a slow machine takes more for both."""
    most = connected + max(MORE, 0.5 * connected)
    assert away <= most, f"{away:.2f} % of a core, and {connected:.2f} % with all connected"


def stood_still(one):
    """Every card lay where it lies, all the time."""
    places, seen = one.page.run("return [window.places, window.states]")
    equal(len(places), 1, f"places of the cards {places}")
    for name in ("Study", "Attic"):
        # Of a loss that is noticed by both sides at once, the page may be told only how it ended.
        equal([state for state in seen[name] if state != "connecting"], ["connected", "offline"], f"states of {name} {seen[name]}")
        assert seen[name].count("connecting") <= 1, f"states of {name}: {seen[name]}"
    equal(seen["Kitchen"], ["connected"], "states of Kitchen")


def moved(one):
    """The last card goes to the front."""
    one.page.run("document.querySelector(arguments[0]).focus()", '[aria-label="Kitchen"] ' + test_id("device-grip"))
    one.page.press("\uE011")
    until("another order", STEP, lambda: cards(one) == ["Kitchen", "Study", "Attic"])


def drops(stage, one, target, other):
    """Drags a file onto the card of `target` while the device `other` beside it is killed and started."""
    folder = stage.folder / "drops"
    folder.mkdir()
    wanted = next(each["device_id"] for each in snapshot(one)["devices"] if each["name"] == target.name)
    stop = threading.Event()

    def come_and_go():
        while not stop.is_set():
            other.kill()
            stop.wait(1.5)
            other.start()
            stop.wait(2.5)

    coming = threading.Thread(target=come_and_go)
    coming.start()
    try:
        for number in range(DROPS):
            file = folder / f"drop {number}.txt"
            file.write_text(f"{number}\n")
            for _state in stage.drag([file], *one.on_screen(f'[data-device-id="{wanted}"]')):
                pass
            until(f"drop {number}", STEP, lambda file=file: sent(one, file.name))
            equal(sent(one, file.name), wanted, f"device that drop {number} went to")
    finally:
        stop.set()
        coming.join()
    until("all of them over there", STEP * 2, lambda: len(list(target.downloads.iterdir())) == DROPS)


def sent(one, name):
    """To which device a file was offered."""
    return next((each["device"] for each in snapshot(one)["transfers"] if each["roots"] == [name]), None)
