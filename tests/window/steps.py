"""Steps that several scenes of the window test take, and how it counts."""
import re
import subprocess
import sys
import time
import traceback

from webdriver import until

# A window should be there in two seconds. A machine that builds and tests on two cores may take three times that.
WANTED, DEADLINE = 2.0, 6.0
# What the network and the page may take for one step.
STEP = 30
# Title of the dialog in which the shell asks what the page may not answer.
CONFIRM = "Please confirm"


def test_id(name):
    """CSS selector of a hook of the page."""
    return f'[data-testid="{name}"]'


class Checks:
    """Counts."""

    def __init__(self):
        self.passed, self.failed = 0, 0

    def __call__(self, name, look):
        """Runs one check; what it gives is handed on. A check that fails ends the test: the next ones build on it."""
        began = time.monotonic()
        try:
            value = look()
        except Exception as error:  # pylint: disable=broad-except
            self.failed += 1
            print(f"  FAILED  {name}: {error}", flush=True)
            if not isinstance(error, (TimeoutError, AssertionError)):
                traceback.print_exc(file=sys.stdout)
            raise Failed from error
        self.passed += 1
        print(f"  ok      {name} ({time.monotonic() - began:.1f} s)", flush=True)
        return value


class Failed(Exception):
    """A check failed, and said so."""


def equal(one, two, what):
    """Fails with both values."""
    assert one == two, f"{what}: {one!r} is not {two!r}"


def ready(instance):
    """The page holds what the core said."""
    until(f"page of {instance.name}", STEP, lambda: instance.page.attribute(test_id("app"), "data-ready") == "true")


def rename(instance, name):
    """Another name, as the other person will see it."""
    answer = instance.page.invoke("call", {"cmd": "rename", "name": name})
    equal(answer.get("ok", {}).get("value", {}).get("name"), name, "name")
    until("the name in the window", STEP, lambda: name in instance.page.text(test_id("app")))


def host(instance):
    """Opens the pair dialog and gives the words and the link that it shows."""
    page = instance.page
    page.click(test_id("pair-open"))
    until("the dialog", STEP, lambda: page.count(test_id("pair-words")) or page.count(test_id("pair-tab-host")))
    if not page.count(test_id("pair-words")):
        page.click(test_id("pair-tab-host"))
    until("a code", STEP, lambda: re.search(r"[a-z]+\W+[a-z]+\W+[a-z]+", page.text(test_id("pair-words"))))
    words = re.findall(r"[a-z]+", page.text(test_id("pair-words")))
    equal(len(words), 3, "number of words")
    link = page.attribute(test_id("pair-link"), "data-link")
    assert link and link.startswith("yonder:"), f"link: {link!r}"
    return "-".join(words), link


def scan(stage, instance, link):
    """What a camera would read off the screen is the link."""
    instance.page.run("document.querySelector(arguments[0]).scrollIntoView({ block: 'center' })", test_id("pair-qr"))
    picture = None

    def read():
        nonlocal picture
        picture = picture or stage.shot("code", instance.window)
        if picture.exists():
            subprocess.run(["import", "-silent", "-window", instance.window, str(picture)], env=stage.environment, check=True)
        done = subprocess.run(["zbarimg", "--raw", "--quiet", str(picture)], capture_output=True, text=True, check=False)
        return done.stdout.strip()

    equal(until("a QR that can be read", STEP, read), link, "QR")


def join(instance, code):
    """Types the code."""
    page = instance.page
    page.click(test_id("pair-open"))
    until("the dialog", STEP, lambda: page.count(test_id("pair-tab-join")))
    page.click(test_id("pair-tab-join"))
    until("a field for the code", STEP, lambda: page.count(test_id("pair-input")))
    page.type(test_id("pair-input"), code)
    # The button wakes up once the words are whole.
    until("the button", STEP, lambda: page.run("return !document.querySelector(arguments[0]).disabled", test_id("pair-join")))
    page.click(test_id("pair-join"))


def check_words(instances):
    """Both show the same two words."""

    def shown(page):
        if page.count(test_id("pair-error")):
            raise AssertionError("the pairing failed: " + page.text(test_id("pair-error")))
        return page.count(test_id("pair-check-words")) and page.text(test_id("pair-check-words"))

    one, two = (until(f"check words of {i.name}", STEP, lambda i=i: shown(i.page)) for i in instances)
    equal(one, two, "check words")
    equal(len(re.findall(r"[a-z]+", one.lower())), 2, f"number of check words in {one!r}")
    return one


def confirm(stage, letter, done):
    """Answers a question of the shell by the letter of a button, and waits until `done`. No script of the page can."""

    def questions():
        return stage.xdotool("search", "--onlyvisible", "--name", f"^{CONFIRM}$").split()

    def answered():
        found = questions()
        if found:
            stage.xdotool("windowfocus", "--sync", found[-1])
            # Nothing is taken in the first moments, so that nobody answers what they have not read: it is pressed anew.
            stage.xdotool("key", f"alt+{letter}")
        return not questions()

    until("a question of the window", STEP, questions)
    until("the end of the question", STEP, answered)
    return until("what comes of it", STEP, done)


def approve(instances, letters="mm"):
    """Both say yes, each in a dialog of its window, and whose device the other one is: `m` for mine, `e` for somebody
    else's."""
    for instance, letter in zip(instances, letters):
        press(instance.page, "pair-approve")
        over = f"return !document.querySelector('{test_id('pair-approve')}')"
        confirm(instance.stage, letter, lambda i=instance, o=over: i.page.run(o))
    for instance in instances:
        until(f"end of the pairing in {instance.name}", STEP, lambda i=instance: i.page.count(test_id("pair-done")))


def connected(instance, other):
    """The other device's card says that it is paired and that a session stands."""
    page = instance.page
    if page.count(test_id("pair-close")):
        page.click(test_id("pair-close"))
    until("the dialog is gone", STEP, lambda: page.count(test_id("pair-done")) == 0)
    card = test_id("device-card") + '[data-paired="true"]'
    until("a paired device", STEP, lambda: page.count(card) == 1)
    assert other in page.text(card), f"the card says {page.text(card)!r}, not {other!r}"
    until("a session", STEP, lambda: page.attribute(card, "data-state") == "connected")
    return card


def dialog(stage, title, path, wanted):
    """Answers one of the system's dialogs by the keyboard: opens it, types a path, and presses Return until `wanted`. The
    page never names a path."""
    ask, chosen = wanted

    def dialogs():
        return stage.xdotool("search", "--onlyvisible", "--name", f"^{title}$").split()

    def attempt():
        if not dialogs():
            ask()
        window = until("the dialog", STEP, dialogs)[-1]
        stage.settled(window)
        stage.xdotool("windowfocus", "--sync", window)
        # The first slash opens the field for a path; what stands there already is replaced.
        stage.xdotool("key", "slash", "ctrl+a")
        stage.xdotool("type", "--delay", "40", str(path))
        stage.settled(window)
        stage.xdotool("key", "Return")
        try:
            return until("an answer", 3, chosen)
        except TimeoutError:
            return False

    # A toolkit that is still drawing its dialog swallows keys: they are typed anew.
    until(f"the answer to {title!r}", STEP, attempt)
    until("the dialog is gone", STEP, lambda: not dialogs())


def gone(page, name):
    """A part of the page is not there any more."""
    until(f"the end of {name}", STEP, lambda: page.count(test_id(name)) == 0)


def there(page, name):
    """A part of the page is there; its text."""
    until(name, STEP, lambda: page.count(test_id(name)))
    return page.text(test_id(name))


def press(page, name):
    """A click, once the part can be clicked: a message may lie over it for some seconds."""

    def clicked():
        if page.run("const e = document.querySelector(arguments[0]); return e && !e.disabled", test_id(name)):
            page.click(test_id(name))
            return True
        return False

    until(f"a click on {name}", STEP, clicked)


def snapshot(instance):
    """What the core says about everything."""
    return instance.page.invoke("call", {"cmd": "snapshot"})["ok"]["value"]
