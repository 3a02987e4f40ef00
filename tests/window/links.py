"""Links and pictures of a pairing code: how they come in, and that nothing is paired by them before a click."""
import shutil
import subprocess

from steps import STEP, approve, check_words, confirm, dialog, equal, gone, host, press, ready, rename, snapshot, test_id, there
from webdriver import until

MARKUP = "<img src=x onerror=window.ran=1>"


def play(stage, check, one, two):
    """A shows a code; links and pictures of it reach B and a third window."""
    _, link = check("A shows a code for links and pictures", lambda: host(one))
    picture = check("a screenshot of A's code", lambda: screenshot(stage, one))

    check("a link opens the running window, which asks", lambda: running(stage, two, link, one))
    stage.shot("link")
    check("a bad link is a message with the reason", lambda: bad(stage, two))
    check("nothing is paired by it", lambda: untouched(one, two))
    press(two.page, "pair-offered-no")

    check("the picture comes from the clipboard", lambda: clipboard(stage, two, picture, one))
    check("nothing is paired by that", lambda: untouched(one, two))
    press(two.page, "pair-offered-no")
    check("the picture is pasted by the keyboard", lambda: pasted(stage, two, picture, one))
    stage.shot("pasted")
    press(two.page, "pair-offered-no")
    check("a picture without a code says so", lambda: blank(stage, two))
    check("the picture is chosen as a file", lambda: chosen(stage, two, picture, one))
    check("nothing is paired by all that", lambda: untouched(one, two))
    press(two.page, "pair-close")

    three = check("a link at a cold start", lambda: cold(stage, link, one))
    check("nothing is paired by the start", lambda: untouched(one, three))
    check("a third device with markup in its name", lambda: rename_quietly(three))
    check("a click pairs, once both approve", lambda: pairs(stage, one, three))
    check("A says whose device it is, and blocks it", lambda: blocks(stage, one, three))
    check("A forgets it", lambda: forgets(one, three))
    three.page.close()
    check("links of other programs come to this one", lambda: scheme(stage, link, one))
    press(one.page, "pair-open")
    gone(one.page, "pair-done")
    press(one.page, "pair-close")


def screenshot(stage, instance):
    """The window with the code in it, as a screenshot tool takes it."""
    instance.page.run("document.querySelector(arguments[0]).scrollIntoView({ block: 'center' })", test_id("pair-qr"))
    picture = stage.folder / "screenshot of the code.png"

    def read():
        command = ["import", "-silent", "-window", instance.window, str(picture)]
        subprocess.run(command, env=stage.environment, check=True, timeout=30)
        done = subprocess.run(["zbarimg", "--raw", "--quiet", str(picture)], capture_output=True, text=True, check=False)
        return done.stdout.startswith("yonder:")

    until("a code in the screenshot", STEP, read)
    return picture


def offered(instance, other, way):
    """The page asks about the other device's link."""
    until("the question", STEP, lambda: instance.page.count(test_id("pair-offered")))
    equal(instance.page.attribute(test_id("pair-offered"), "data-from"), way, "where the link came from")
    equal(instance.page.attribute(test_id("pair-offered"), "data-device-id"), device_id(other), "the device in the link")


def device_id(instance):
    """Who it is."""
    return instance.page.invoke("call", {"cmd": "identity"})["ok"]["value"]["device_id"]


def untouched(one, other):
    """A's code is as good as new, and neither holds a record of anybody."""
    hosting, waiting = snapshot(one), snapshot(other)
    equal(hosting["pairing"]["step"], "hosting", "A's pairing")
    equal(hosting["pairing"]["attempts_left"], 3, "attempts that are left of A's code")
    equal(waiting["pairing"]["step"], "idle", "pairing of the other")
    for state in (hosting, waiting):
        equal([device["name"] for device in state["devices"] if device["paired"]], [], "paired devices")


def running(stage, two, link, one):
    """A second start with a link leaves, and the first asks."""
    second = stage.start("two", link)
    equal(second.wait(STEP), 0, "exit status of the second start")
    offered(two, one, "link")
    assert "yonder:" not in two.page.text(test_id("pair-offered")), "the secret of the link is on the screen"
    # The button has not the focus, so that a key that was meant for another window says yes to nothing.
    two.page.press("\ue007")


def bad(stage, two):
    """Links that are none of ours, or have markup in them, tell why and do nothing."""
    for text, code in (
        (f"yonder:pair?e={MARKUP}&s=x", "link_invalid"),
        ("yonder:" + "x" * 5000, "link_invalid"),
        (snapshot(two)["identity"]["ticket"], "link_not_for_pairing"),
    ):
        equal(stage.start("two", text).wait(STEP), 0, "exit status of the second start")
        css = test_id("toast") + f'[data-code="{code}"]'
        until(f"a message {code}", STEP, lambda css=css: two.page.count(css))
        two.page.click(css + " button")
        until("the end of the message", STEP, lambda css=css: two.page.count(css) == 0)
    equal(two.page.run("return document.images.length + (window.ran ?? 0)"), 0, "markup out of a link")


def to_join(instance):
    """The field for a code is on the screen."""
    if instance.page.count(test_id("pair-input")) == 0:
        if instance.page.count(test_id("pair-tab-join")) == 0:
            press(instance.page, "pair-open")
        press(instance.page, "pair-tab-join")
    there(instance.page, "pair-input")


def clipboard(stage, two, picture, one):
    """The window looks at the clipboard when the button is pressed."""
    to_join(two)
    owner = stage.clipboard(picture)
    press(two.page, "pair-clipboard")
    offered(two, one, "picture")
    stage.end(owner)


def pasted(stage, two, picture, one):
    """Control and V in the field, as a person does it."""
    to_join(two)
    owner = stage.clipboard(picture)

    def paste():
        # There is no window manager that would give the focus back.
        stage.xdotool("windowfocus", "--sync", two.window)
        two.page.click(test_id("pair-input"))
        stage.xdotool("key", "ctrl+v")
        try:
            return until("the question", 4, lambda: two.page.count(test_id("pair-offered")))
        except TimeoutError:
            return False

    until("the question after pasting", STEP, paste)
    offered(two, one, "picture")
    stage.end(owner)


def blank(stage, two):
    """No code, no link: a message that helps, and the field is still there."""
    picture = stage.folder / "blank.png"
    subprocess.run(["import", "-silent", "-window", "root", "-crop", "40x40+1900+980", str(picture)], env=stage.environment, check=True)
    to_join(two)
    owner = stage.clipboard(picture)
    press(two.page, "pair-clipboard")
    until("a message", STEP, lambda: two.page.count(test_id("pair-error") + '[data-code="no_code_in_picture"]'))
    there(two.page, "pair-input")
    stage.end(owner)


def chosen(stage, two, picture, one):
    """The system's dialog gives the file to the window, and the page gets the link."""
    to_join(two)
    ask = (lambda: press(two.page, "pair-picture"), lambda: two.page.count(test_id("pair-offered")))
    dialog(stage, "Choose a picture of the code", picture, ask)
    offered(two, one, "picture")


def cold(stage, link, one):
    """The program is started by the link: the window comes up and asks."""
    three = stage.driven("three", link)
    three.place(980, 0)
    ready(three)
    offered(three, one, "link")
    stage.shot("cold-start")
    return three


def rename_quietly(instance):
    """A name that would be a picture, were it taken for markup."""
    rename(instance, MARKUP)


def pairs(stage, one, three):
    """Pair, compare, say whose it is, approve on both sides."""
    press(three.page, "pair-join")
    check_words((one, three))
    there(one.page, "pair-approve")
    assert MARKUP in one.page.text('[role="dialog"]'), "the name is not shown as it is"
    stage.shot("markup")
    equal(one.page.run("return document.images.length + (window.ran ?? 0)"), 0, "markup out of a name")
    approve((one, three), "em")
    until("whose device it is", STEP, lambda: trust(one, three) == "other")
    equal(trust(three, one), "own", "what A is to the third")
    for instance in (one, three):
        press(instance.page, "pair-done")


def record(instance, other):
    """What one holds of the other, if it is paired."""
    wanted = device_id(other)
    return next((d for d in snapshot(instance)["devices"] if d["device_id"] == wanted and d["paired"]), None)


def trust(instance, other):
    """What the other is to this one."""
    held = record(instance, other)
    return held and held["trust"]


def details(stage, one, two):
    """How it is connected, by which key exchange, and new keys at a click."""
    open_details(one, two)
    text = one.page.text(test_id("device-detail"))
    for said in ("X25519MLKEM768 (post-quantum)", "Direct, from device to device", device_id(two)[:8], "Studio desktop"):
        assert said in text, f"{said!r} is not in {text!r}"
    stage.shot("details")
    before = record(one, two)["secret_since"]
    press(one.page, "device-renew")
    until("new keys on both sides", STEP, lambda: all(record(a, b)["secret_since"] not in (None, before) for a, b in ((one, two), (two, one))))
    until("the session with new keys", STEP, lambda: record(one, two)["state"] == "connected")
    stage.shot("new-keys")
    press(one.page, "device-close")


def open_details(instance, other):
    """Opens the details from the card."""
    card = f'[data-device-id="{device_id(other)}"] '
    until("the card", STEP, lambda: instance.page.count(card + test_id("device-open")))
    instance.page.click(card + test_id("device-open"))
    there(instance.page, "device-detail")


def blocks(stage, one, three):
    """Blocked, it is listed apart and gets no session; unblocked, which a dialog of the window asks about, it is there again."""
    until("a session", STEP, lambda: record(one, three)["state"] == "connected")
    open_details(one, three)
    press(one.page, "device-block")
    equal(trust(one, three), "other", "trust before the click that confirms")
    press(one.page, "device-block-confirm")
    until("the block", STEP, lambda: trust(one, three) == "blocked")
    press(one.page, "device-close")
    there(one.page, "blocked-device")
    until("the session has ended", STEP, lambda: record(three, one)["state"] != "connected")
    stage.shot("blocked")
    press(one.page, "blocked-unblock")
    confirm(stage, "a", lambda: trust(one, three) == "other")
    until("a session again", STEP, lambda: record(one, three)["state"] == "connected")


def forgets(one, three):
    """Unpaired after a question; both sides know."""
    open_details(one, three)
    press(one.page, "device-unpair")
    press(one.page, "unpair-confirm")
    until("A has no record", STEP, lambda: record(one, three) is None)
    until("the other has none either", STEP, lambda: record(three, one) is None)


def scheme(stage, link, one):
    """A program in its usual place says that it opens such links, and the desktop's own library hands them over."""
    four = stage.driven("four", usual=True)
    ready(four)
    environment = stage.home("four")
    entry = stage.folder / "four/home/.local/share/applications/yonder-handler.desktop"

    def registered():
        query = ["gio", "mime", "x-scheme-handler/yonder"]
        done = subprocess.run(query, env=environment, capture_output=True, text=True, check=False)
        return entry.exists() and entry.name in done.stdout

    until("a desktop entry for links", STEP, registered)
    assert "x-scheme-handler/yonder" in entry.read_text(), entry.read_text()
    # `xdg-open` of Debian 12 stumbles over the quotes around the program; desktops open links through this library.
    subprocess.run(["gio", "open", link], env=environment, check=True, timeout=STEP, capture_output=True)
    offered(four, one, "link")
    four.page.close()


def files(stage, one, path):
    """A second start with a file asks to whom it goes, and sends by a click."""
    copy = stage.folder / "given & <b>.txt"
    shutil.copy(path, copy)
    equal(stage.start("one", copy).wait(STEP), 0, "exit status of the second start")
    until("the question", STEP, lambda: one.page.count(test_id("send-confirm")))
    said = one.page.run("return document.querySelector('[role=dialog]').textContent")
    assert copy.name in said, f"the file's name is not in the question {said!r}"
    equal([each for each in snapshot(one)["transfers"] if each["state"] == "offered"], [], "offers before the click")
    press(one.page, "send-confirm")
    until("an offer", STEP, lambda: any(each["state"] == "offered" for each in snapshot(one)["transfers"]))
