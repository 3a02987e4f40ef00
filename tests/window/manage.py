"""Two windows manage their transfers: one is paused and goes on, an offer is taken in part, one is sent again."""
import os

from steps import STEP, equal, press, snapshot, test_id, there
from webdriver import until

# Slow enough to be looked at while it is under way, and over in no time without the limit.
SIZE, SLOW = 24_000_000, 1_000_000


def play(stage, check, drop, one, two, card, downloads):
    """Pause and resume, a selection, and once more."""
    sent = stage.folder / "managed"
    sent.mkdir()
    film = sent / "a long film.raw"
    film.write_bytes(os.urandom(SIZE))
    trip = sent / "Trip"
    (trip / "Day 1").mkdir(parents=True)
    for name in ("wanted.txt", "not wanted.txt"):
        (trip / "Day 1" / name).write_text(f"{name}\n" * 100)

    check("a long transfer is offered", lambda: drop(stage, one, two, card, [film], "long"))
    number = check("A gives it a limit", lambda: limited(one))
    check("B accepts it", lambda: press(two.page, "offer-accept"))
    for instance in (one, two):
        instance.page.click(test_id("transfers-open"))
    check("it is under way at both", lambda: both(one, two, number, "active"))
    stage.shot("under-way")
    check("A pauses it", lambda: act(one, number, "pause"))
    check("both show that, and who did it", lambda: paused(one, two, number))
    stage.shot("paused")
    check("nothing came while it was paused", lambda: stands_still(two, number))
    check("A resumes it, without a limit", lambda: resumed(one, number))
    check("both are done", lambda: both(one, two, number, "done"))
    check("its bytes are equal", lambda: equal((downloads / film.name).read_bytes() == film.read_bytes(), True, "the same bytes"))
    for instance in (one, two):
        press(instance.page, "transfers-back")

    check("a folder is offered", lambda: drop(stage, one, two, card, [trip], "folder"))
    part = newest(one)
    check("B opens it, and takes one file out", lambda: chooses(stage, two))
    check("B accepts the selection", lambda: press(two.page, "offer-accept"))
    check("the part is done at both", lambda: states(one, two, part, "done"))
    got = sorted(path.name for path in (downloads / "Trip").rglob("*") if path.is_file())
    check("only what was chosen was written", lambda: equal(got, ["wanted.txt"], "files"))

    one.page.click(test_id("transfers-open"))
    check("A sends the film again", lambda: act(one, number, "retry"))
    again = check("that is another transfer", lambda: until("another transfer", STEP, lambda: newest(one) not in (number, part) and newest(one)))
    check("B is asked anew", lambda: there(two.page, "offer-card"))
    stage.shot("again")
    check("B accepts it again", lambda: press(two.page, "offer-accept"))
    check("it is done again", lambda: states(one, two, again, "done"))
    check("both are kept, and equal", lambda: kept(downloads, film))
    check("the history finds it by words", lambda: searches(one))
    stage.shot("history")
    press(one.page, "transfers-back")


def newest(instance):
    """The number of the transfer that was offered last."""
    return snapshot(instance)["transfers"][0]["id"]


def view(instance, number):
    """What the core says of a transfer."""
    return next(each for each in snapshot(instance)["transfers"] if each["id"] == number)


def row(number):
    """CSS selector of its row."""
    return test_id("transfer-row") + f'[data-transfer-id="{number}"]'


def act(instance, number, what):
    """Presses a button of its row."""
    css = f"{row(number)} {test_id('transfer-' + what)}"
    until(f"the button {what}", STEP, lambda: instance.page.count(css))
    instance.page.run("document.querySelector(arguments[0]).scrollIntoView({ block: 'center' })", css)
    instance.page.click(css)


def limited(one):
    """The newest transfer, made slow."""
    number = newest(one)
    answer = one.page.invoke("call", {"cmd": "limit", "id": number, "rate": SLOW})
    equal(answer.get("ok", {}).get("value", {}).get("limit"), SLOW, f"limit in {answer}")
    return number


def fails(instance, number):
    """A transfer that failed will not come to anything else."""
    said = view(instance, number)
    assert said["state"] != "failed", f"the transfer of {instance.name} failed: {said['reason']}"
    return False


def both(one, two, number, state):
    """Both pages show it so."""
    css = row(number) + f'[data-state="{state}"]'
    for instance in (one, two):
        until(f"{state} at {instance.name}", STEP * 2, lambda i=instance: i.page.count(css) or fails(i, number))


def states(one, two, number, state):
    """Both cores say so."""
    for instance in (one, two):
        until(f"{state} at {instance.name}", STEP * 2, lambda i=instance: view(i, number)["state"] == state or fails(i, number))


def paused(one, two, number):
    """Each in words for the person in front of it."""
    both(one, two, number, "paused")
    for instance, reason, words in ((one, "paused_here", "Paused by you"), (two, "paused_there", "Paused by Kitchen laptop")):
        css = row(number) + f'[data-reason="{reason}"]'
        until(f"the reason at {instance.name}", STEP, lambda i=instance, c=css: i.page.count(c))
        text = instance.page.text(row(number))
        assert words in text, f"{words!r} is not in {text!r}"
    equal(two.page.count(f"{row(number)} {test_id('transfer-resume')}"), 0, "buttons at B to resume what A paused")


def stands_still(two, number):
    """Two looks, with a round trip to the other device between them."""
    before = view(two, number)["bytes"]
    other = view(two, number)["device"]
    equal(two.page.invoke("call", {"cmd": "ping", "device": other, "count": 5}).get("ok", {}).get("kind"), "ping", "answer")
    equal(view(two, number)["bytes"], before, "bytes of a paused transfer")


def resumed(one, number):
    """Full speed ahead."""
    equal("ok" in one.page.invoke("call", {"cmd": "limit", "id": number, "rate": None}), True, "the limit was taken away")
    act(one, number, "resume")


def chooses(stage, two):
    """Folder by folder, down to the file that is not wanted."""
    press(two.page, "offer-open")
    entries = test_id("offer-entry")
    for many in (1, 2, 4):
        until(f"{many} entries", STEP, lambda m=many: two.page.count(entries) == m)
        if many < 4:
            # The innermost folder that is still closed.
            two.page.click(f"{test_id('offer-unfold')}[aria-expanded='false']")
    labels = two.page.run("return [...document.querySelectorAll(arguments[0])].map((e) => e.getAttribute('aria-label'))", test_id("offer-check"))
    equal(sorted(labels[2:]), ["Take not wanted.txt", "Take wanted.txt"], "boxes")
    two.page.click(f'{test_id("offer-check")}[aria-label="Take not wanted.txt"]')
    until("the sum", STEP, lambda: "1 file" in two.page.text(test_id("offer-sum")))
    half = "return [...document.querySelectorAll(arguments[0])].map((box) => box.indeterminate)"
    equal(two.page.run(half, test_id("offer-check"))[:2], [True, True], "half checked folders")
    equal(two.page.text(test_id("offer-accept")), "Accept selection", "button")
    stage.shot("selection")


def kept(downloads, film):
    """Nothing is overwritten."""
    copies = sorted(path for path in downloads.iterdir() if path.name.startswith(film.stem))
    equal(len(copies), 2, f"copies in {[path.name for path in copies]}")
    wanted = film.read_bytes()
    for copy in copies:
        assert copy.read_bytes() == wanted, f"{copy.name} is not what was sent"


def searches(one):
    """Every word has to be found."""
    history = f"{test_id('transfers-history')} {test_id('transfer-row')}"
    many = one.page.count(history)
    one.page.type(test_id("history-search"), "studio FILM")
    until("fewer rows", STEP, lambda: 0 < one.page.count(history) < many)
    for text in one.page.run("return [...document.querySelectorAll(arguments[0])].map((each) => each.textContent)", history):
        assert "film" in text, f"{text!r} was found"
