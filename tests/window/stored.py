"""Where received files are: the folder, opened and shown by the desktop, with the files selected."""
from urllib.parse import unquote

from manage import row
from steps import STEP, equal, press, snapshot, test_id, there
from webdriver import until

FILES, PORTAL = "org.freedesktop.FileManager1", "org.freedesktop.portal.Desktop"


def play(stage, check, desktop, drop, one, two, card, downloads):
    """One file whose name is taken already: it is stored under another one, and that one is shown and opened."""
    letter = stage.folder / "stored" / "letter & more #1.txt"
    letter.parent.mkdir()
    letter.write_text("first\n")
    (downloads / letter.name).write_text("somebody else’s\n")
    stored = downloads / "letter & more #1 (2).txt"
    # Whoever looks at the window gets no notification.
    stage.xdotool("windowfocus", "--sync", one.window)
    while desktop.hear(received):
        # Those of the transfers before.
        pass
    check("a file whose name is taken is offered", lambda: drop(stage, one, two, card, [letter], "stored"))
    check("B accepts it", lambda: press(two.page, "offer-accept"))
    told = check("B's desktop tells of it, with its folder", lambda: notified(desktop, downloads))
    number = check("it has another name", lambda: done(two, stored))
    two.page.click(test_id("transfers-open"))
    check("B's row shows the folder", lambda: equal(there_path(two, number), str(downloads), "folder"))
    stage.shot("stored")

    check("a file manager is there", lambda: comes(desktop, FILES))
    check("it is told to select the file", lambda: shown(desktop, stored, lambda: act(two, number, "show")))
    check("the notification does the same", lambda: shown(desktop, stored, lambda: desktop.tell("act", told, "folder")))
    check("the file manager is gone", lambda: leaves(desktop, FILES))
    check("a portal is there", lambda: comes(desktop, PORTAL))
    check("it gets the file", lambda: by_portal(desktop, two, number, stored))
    check("the portal is gone", lambda: leaves(desktop, PORTAL))
    check("then the folder is opened", lambda: by_launcher(stage, downloads, lambda: act(two, number, "show")))
    check("Open opens the file", lambda: by_launcher(stage, stored, lambda: act(two, number, "open")))
    check("where nothing opens anything, the window says where the files are", lambda: nothing(stage, two, number, downloads))
    stage.shot("no-file-manager")
    press(two.page, "transfers-back")
    # Others look at what was opened later.
    stage.opened.unlink()
    (downloads / letter.name).unlink()


def received(said):
    """A notification of what has come."""
    return said.get("title") == "Received"


def notified(desktop, downloads):
    """The notification of the file; gives its number."""
    said = desktop.wait("a notification", received)
    equal(said["body"].splitlines()[-1], f"In {downloads}", "last line")
    # Told together with what ended just before, it has no Open.
    equal(said["labels"][-2:], ["Show in folder", "Show"], "buttons")
    return said["notify"]


def done(two, stored):
    """Received, under the other name."""
    until("the file", STEP, stored.exists)

    def newest():
        newest = snapshot(two)["transfers"][0]
        return newest["state"] == "done" and newest

    view = until("its end", STEP, newest)
    equal(view["landed"], [stored.name], "what it is stored as")
    return view["id"]


def there_path(two, number):
    """What the row shows."""
    css = f"{row(number)} {test_id('transfer-stored')} bdi"
    until("the folder in the row", STEP, lambda: two.page.count(css))
    return two.page.text(css)


def act(two, number, what):
    """Presses a button of the row."""
    two.page.click(f"{row(number)} {test_id('transfer-' + what)}")


def comes(desktop, name):
    """Somebody on the bus has this name."""
    desktop.tell("own", name)
    desktop.wait(name, lambda said: said.get("owns") == name)


def leaves(desktop, name):
    """Nobody has it any more."""
    desktop.tell("leave", name)
    desktop.wait(f"the end of {name}", lambda said: said.get("left") == name)


def shown(desktop, stored, ask):
    """The file manager is given the one file, as an address."""
    ask()
    said = desktop.wait("a request", lambda said: "shown" in said)
    equal((said["method"], [unquote(each) for each in said["shown"]]), ("ShowItems", [f"file://{stored}"]), "request")


def by_portal(desktop, two, number, stored):
    """The portal is given the file itself, not its path."""
    act(two, number, "show")
    said = desktop.wait("a request", lambda said: "portal" in said)
    equal((said["method"], said["portal"]), ("OpenDirectory", str(stored)), "request")


def by_launcher(stage, path, ask):
    """What is left is the program that opens things."""
    ask()
    until(f"{path} is opened", STEP, lambda: stage.opened.exists() and stage.opened.read_text().splitlines()[-1:] == [str(path)])


def nothing(stage, two, number, downloads):
    """A hint that is true."""
    stage.nothing_opens.touch()
    act(two, number, "show")
    there(two.page, "toast")
    for part in ("No file manager answered", f"The files are in {downloads}."):
        # It fades in, and what cannot be seen yet has no text.
        until(part, STEP, lambda part=part: part in two.page.text(test_id("toast")))
    stage.nothing_opens.unlink()
