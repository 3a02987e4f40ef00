"""What a person notices who does not look at the window: title, urgency, number on the icon, the language, and a device
that does not answer."""
import os
import signal

from links import device_id
from manage import both, limited, row
from steps import STEP, equal, press, test_id, there
from webdriver import until

SIZE = 40_000_000


def play(stage, check, desktop, drop, one, two, card):
    """An offer to a window that nobody looks at; then its device stops in the middle of the transfer."""
    film = stage.folder / "attention" / "film.raw"
    film.parent.mkdir()
    film.write_bytes(os.urandom(SIZE))
    stage.xdotool("windowfocus", "--sync", one.window)
    desktop.hear(lambda said: "badge" in said)
    check("an offer comes while nobody looks at B", lambda: drop(stage, one, two, card, [film], "unseen"))
    check("B's title counts it", lambda: titled(stage, two, "(1) Yonder"))
    check("B's window is urgent", lambda: urgent(stage, two, True))
    check("B's icon has a number", lambda: equal(numbered(desktop, 1)["entry"], "application://Yonder.desktop", "entry"))
    number = check("A makes it slow", lambda: limited(one))
    check("B accepts it", lambda: press(two.page, "offer-accept"))
    check("B's title is as before", lambda: titled(stage, two, "Yonder"))
    check("B's window is urgent no more", lambda: urgent(stage, two, False))
    check("B's icon has no number", lambda: numbered(desktop, 0))
    check("it is under way", lambda: both(one, two, number, "active"))
    check("B stops, and A says so at the transfer and on the card", lambda: silent(stage, one, two, number))
    check("B goes on, and A says nothing of it", lambda: heard(one, two, number))
    one.page.invoke("call", {"cmd": "cancel", "id": number})
    check("tray, notifications and dialogs speak German with the page", lambda: german(stage, desktop, drop, one, two, card, film))


def titled(stage, instance, title):
    """What a window list shows."""
    until(f"the title {title}", STEP, lambda: stage.xdotool("getwindowname", instance.window) == title)


def urgent(stage, instance, wanted):
    """The hint to the window manager."""
    until(f"urgency {wanted}", STEP, lambda: stage.urgent(instance.window) == wanted)


def numbered(desktop, number):
    """The signal that docks hear."""
    return desktop.wait(f"the number {number}", lambda said: said.get("badge") == number)


def silent(stage, one, two, number):
    """No packet is answered, as after a hard loss."""
    # Asked first: a stopped program answers nobody.
    status = f'[data-device-id="{device_id(two)}"] {test_id("device-status")}'
    os.kill(two.pid, signal.SIGSTOP)
    try:
        css = f"{row(number)} {test_id('transfer-silent')}"
        until("the silence in the row", STEP, lambda: one.page.count(css))
        assert one.page.text(css).startswith("No answer for"), one.page.text(css)
        # The limit is a speed too.
        text = one.page.text(row(number)).replace("\u00a0", " ").replace("at most 1 MB/s", "")
        assert "/s" not in text and "left" not in text, f"a speed or a time that is not true: {text!r}"
        # A status that is cut short with dots has no text for the driver.
        said = one.page.run("return document.querySelector(arguments[0]).textContent", status)
        assert "No answer" in said, said
        stage.shot("no-answer")
    finally:
        os.kill(two.pid, signal.SIGCONT)


def heard(one, two, number):
    """It moves again."""
    css = f"{row(number)} {test_id('transfer-silent')}"
    until("the end of the silence", STEP * 2, lambda: one.page.count(css) == 0)
    both(one, two, number, "active")


def speak(instance, language):
    """The choice in the settings."""
    choose = (
        "const s = document.querySelector(arguments[0]); s.value = arguments[1]; s.dispatchEvent(new Event('change', { bubbles: true }))"
    )
    instance.page.click(test_id("settings-open"))
    there(instance.page, "settings-language")
    instance.page.run(choose, test_id("settings-language"), language)


def german(stage, desktop, drop, one, two, card, film):
    """Of B, which put its icon up last."""
    speak(two, "de")
    stage.shot("german")

    def menu():
        desktop.tell("menu")
        return "Beenden" in desktop.wait("the menu", lambda said: "menu" in said)["menu"]

    until("the German menu", STEP, menu)
    press(two.page, "settings-back")
    stage.xdotool("windowfocus", "--sync", one.window)
    drop(stage, one, two, card, [film], "german-offer")
    said = desktop.wait("a notification", lambda said: "accept" in said.get("actions", []) and "möchte" in said["title"])
    equal(said["labels"], ["Annehmen", "Ablehnen", "Anzeigen"], "buttons")
    press(two.page, "offer-decline")
    desktop.wait("the end of the notification", lambda ended: ended.get("closed") == said["notify"])
    speak(two, "en")
    press(two.page, "settings-back")
