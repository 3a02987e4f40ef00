"""Two windows write to each other, look at their connection, and ask the doctor."""
from links import device_id, open_details, record
from steps import STEP, equal, gone, press, ready, snapshot, test_id, there
from webdriver import until

LINK = "https://example.org/a?b=c"
# Markup, a script, a mark that turns the writing around, an address that is no plain one, and one that is.
HOSTILE = f"<img src=x onerror=window.ran=1><script>window.ran=1</script> \u202egpj.exe javascript:alert(1) https://a@b.example/ {LINK}"
SHOWN = HOSTILE.replace("\u202e", "\ufffd")
ENTER = "\ue007"
SHIFT = "\ue008"
ESCAPE = "\ue00c"


def play(stage, check, desktop, one, two):
    """Texts in both directions, one to a device that is away, the connection, and what the doctor says."""
    check("A opens the texts with B from the card", lambda: opens(one, two))
    check("A writes a text with markup, a script and a link", lambda: writes(stage, one, two, HOSTILE))
    number = check("B's desktop tells of it, cleaned", lambda: told(desktop))
    check("B counts it, unseen", lambda: unseen(one, two))
    check("a click on the notification opens the texts", lambda: clicked(stage, desktop, number, two))
    check("B shows it as text", lambda: as_text(two, SHOWN))
    stage.shot("text-with-markup")
    check("B has seen it", lambda: seen(stage, two, one))
    check("A knows that it is there", lambda: delivered(one, SHOWN))
    check("B answers", lambda: writes(stage, two, one, "Line one\nLine two"))
    check("A reads the answer", lambda: as_text(one, "Line one\nLine two"))
    stage.shot("texts")
    check("a link opens the browser, and the window stays", lambda: follows(stage, two))
    check("B leaves the texts by a key", lambda: leaves(two))
    check("the details tell of a direct connection", lambda: direct(stage, one, two))
    check("the doctor looks at everything", lambda: doctor(stage, one))


def opens(one, two):
    """The button of the card; the field has the focus."""
    press_in_card(one, two, "device-texts")
    there(one.page, "talk")
    until("the focus in the field", STEP, lambda: one.page.run("return document.activeElement?.dataset.testid") == "talk-input")


def press_in_card(instance, other, name):
    """A click on a part of the other device's card."""
    css = f'[data-device-id="{device_id(other)}"] {test_id(name)}'
    until(f"{name} on the card", STEP, lambda: instance.page.count(css))
    instance.page.click(css)


def writes(stage, instance, other, text):
    """Typed into the field and sent by Enter; Shift and Enter begin a line."""
    # Nobody looks at the other window.
    stage.xdotool("windowfocus", "--sync", instance.window)
    first, *more = text.split("\n")
    instance.page.type(test_id("talk-input"), first)
    for line in more:
        # Shift is let go of at the end of a call, and not before.
        instance.page.type(test_id("talk-input"), SHIFT + ENTER)
        instance.page.type(test_id("talk-input"), line)
    instance.page.type(test_id("talk-input"), ENTER)
    until("the text in the own window", STEP, lambda: words(instance) and words(instance)[-1] == text.replace("\u202e", "\ufffd"))
    equal(instance.page.run("return document.querySelector(arguments[0]).value", test_id("talk-input")), "", "the field after sending")
    until("the text at the other side", STEP, lambda: any(each["text"] == text for each in texts(other, instance)))


def texts(instance, other):
    """What the core holds."""
    request = {"cmd": "messages", "device": device_id(other), "before": None, "limit": 50}
    return instance.page.invoke("call", request)["ok"]["value"]


def words(instance):
    """The texts on the page, oldest first, as they stand in the document."""
    return instance.page.run("return [...document.querySelectorAll(arguments[0])].map((each) => each.textContent)", test_id("text-words"))


def told(desktop):
    """A notification with the name and the beginning of the text, without markup."""
    said = desktop.wait("a notification", lambda said: said.get("title") == "Kitchen laptop" and "&lt;img" in said.get("body", ""))
    for part in ("<", "\u202e"):
        assert part not in said["body"], f"{part!r} is in {said['body']!r}"
    equal(said["actions"], ["default"], "buttons")
    return said["notify"]


def unseen(one, two):
    """The card has the number, the core too."""
    css = f'[data-device-id="{device_id(one)}"] {test_id("device-texts")}'
    until("the number on the card", STEP, lambda: two.page.attribute(css, "data-unread") == "1")
    equal([each["count"] for each in snapshot(two)["unread"]], [1], "texts that are not seen")


def clicked(stage, desktop, number, two):
    """As a person clicks on the notification."""
    desktop.tell("act", number, "default")
    there(two.page, "talk")
    # There is no window manager that would give the window the focus.
    stage.xdotool("windowfocus", "--sync", two.window)


def as_text(instance, text):
    """Letter by letter, and nothing of it ran."""
    until("the text", STEP, lambda: text in words(instance))
    equal(instance.page.run("return document.images.length + (window.ran ?? 0)"), 0, "markup out of a text")


def seen(stage, two, one):
    """Looked at, it is no news."""

    def none():
        stage.xdotool("windowfocus", "--sync", two.window)
        return snapshot(two)["unread"] == []

    until("no text that is not seen", STEP, none)


def delivered(one, text):
    """In words, for those who do not see the mark."""
    state = (
        "return [...document.querySelectorAll(arguments[0])].find((each) => each.textContent.includes(arguments[1]))"
        "?.querySelector(arguments[2])?.textContent"
    )
    args = (test_id("text"), text, test_id("text-state"))
    until("word of its arrival", STEP, lambda: one.page.run(state, *args) == "Delivered")


def follows(stage, two):
    """Only the plain address is a link; the browser gets it as it is."""
    equal(two.page.run("return [...document.querySelectorAll(arguments[0])].map((a) => a.href)", test_id("text-link")), [LINK], "links")
    before = two.page.run("return location.href")
    two.page.click(test_id("text-link"))
    until("the browser", STEP, lambda: stage.opened.exists() and stage.opened.read_text().split() == [LINK])
    equal(two.page.run("return location.href"), before, "the page")
    # Not even a page gone bad opens anything else.
    for bad in ("file:///etc/passwd", "javascript:alert(1)", "https://a@b.example/", "--version"):
        answer = two.page.invoke("shell", {"cmd": "open_link", "url": bad})
        equal(answer.get("error", {}).get("code"), "link_not_plain", bad)
    equal(stage.opened.read_text().split(), [LINK], "what the browser was given")


def leaves(two):
    """Escape goes back to the devices."""
    two.page.press(ESCAPE)
    gone(two.page, "talk")


def direct(stage, one, two):
    """In plain words, with figures of each connection."""
    press(one.page, "talk-back")
    open_details(one, two)
    css = test_id("device-connection")
    until("a direct connection", STEP, lambda: one.page.attribute(css, "data-path") == "direct")
    until("its figures", STEP, lambda: record(one, two)["connections"] and one.page.count(css + " details"))
    one.page.run("document.querySelector(arguments[0]).open = true", css + " details")
    text = one.page.text(css)
    for said in ("Direct, from device to device", "Round trip", "Packets lost", "Data moved", "X25519MLKEM768 (post-quantum)", "Texts and signs of life"):
        assert said in text, f"{said!r} is not in {text!r}"
    stage.shot("connection")
    press(one.page, "device-close")


def doctor(stage, one):
    """Checks with a verdict; a report that can be copied."""
    press(one.page, "settings-open")
    press(one.page, "settings-doctor")
    there(one.page, "doctor")
    until("the end of the visit", STEP * 2, lambda: one.page.attribute(test_id("doctor"), "data-running") == "false")
    equal(one.page.count(test_id("doctor-error")), 0, "errors of the doctor")
    names = one.page.run("return [...document.querySelectorAll(arguments[0])].map((each) => each.dataset.name)", test_id("doctor-check"))
    for name in ("port", "interfaces", "device"):
        assert name in names, f"{name} is not among the checks {names}"
    assert one.page.text(test_id("doctor-verdict")), "no verdict"
    stage.shot("doctor")
    press(one.page, "doctor-copy")
    press(one.page, "doctor-back")
    press(one.page, "settings-back")


def away(stage, check, one, two):
    """A text to a device that is away waits, and arrives when that is there again."""
    wanted = device_id(two)
    two.page.close()
    held = lambda: next(each for each in snapshot(one)["devices"] if each["device_id"] == wanted)
    check("A sees that B has gone", lambda: until("B away", STEP * 2, lambda: held()["state"] == "offline"))
    check("a text to it waits, and says so", lambda: waits(stage, one, wanted))
    again = check("B comes back", lambda: stage.driven("two"))
    again.place(980, 0)
    ready(again)
    check("the text arrives", lambda: until("the text", STEP * 2, lambda: any(each["text"] == "Until then" for each in texts(again, one))))
    check("A knows", lambda: delivered(one, "Until then"))
    press(one.page, "talk-back")
    again.page.close()


def waits(stage, one, wanted):
    """Written while nobody is there to take it."""
    css = f'[data-device-id="{wanted}"] {test_id("device-texts")}'
    until("the card", STEP, lambda: one.page.count(css))
    one.page.click(css)
    there(one.page, "talk-away")
    one.page.type(test_id("talk-input"), "Until then" + ENTER)
    until("the text that waits", STEP, lambda: words(one) and words(one)[-1] == "Until then")
    states = one.page.run("return [...document.querySelectorAll(arguments[0])].map((each) => each.textContent)", test_id("text-state"))
    equal(states[-1], "Waits until it is there", "state")
    stage.shot("away")
