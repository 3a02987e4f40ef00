"""A WebDriver client of the few calls that the window test needs, over plain HTTP."""
import base64
import json
import time
import urllib.error
import urllib.request

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


class DriverError(Exception):
    """The driver, or the page, said no."""


def until(what, seconds, look):
    """Polls until `look` gives something that is true, and gives that. A driver's error counts as not yet."""
    end = time.monotonic() + seconds
    last = None
    while True:
        try:
            found = look()
            if found:
                return found
            last = None
        except DriverError as error:
            last = error
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {seconds} s" + (f" ({last})" if last else ""))
        time.sleep(0.05)


class Page:
    """The page in one window, driven by a WebKitWebDriver that listens on `port`."""

    def __init__(self, port, binary, args):
        self.base = f"http://127.0.0.1:{port}"
        options = {"binary": str(binary), "args": [str(arg) for arg in args]}
        # Without a browserName: the app is none that the driver knows by name.
        capabilities = {"capabilities": {"alwaysMatch": {"webkitgtk:browserOptions": options}}}
        answer = self._send("POST", "/session", capabilities, timeout=60)
        self.session = f"/session/{answer['sessionId']}"

    def _send(self, method, path, body=None, timeout=30):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=timeout) as response:
                return json.load(response)["value"]
        except urllib.error.HTTPError as error:
            value = json.loads(error.read() or b"{}").get("value", {})
            raise DriverError(f"{value.get('error')}: {value.get('message', '')}") from None
        except (OSError, ValueError) as error:
            raise DriverError(f"{type(error).__name__}: {error}") from None

    def _post(self, path, **body):
        return self._send("POST", self.session + path, body)

    def find(self, css):
        """The first element, or an error."""
        return self._post("/element", using="css selector", value=css)[ELEMENT]

    def count(self, css):
        """How many elements there are."""
        return len(self._post("/elements", using="css selector", value=css))

    def text(self, css):
        """What a person reads there."""
        return self._send("GET", f"{self.session}/element/{self.find(css)}/text").strip()

    def attribute(self, css, name):
        """An attribute as it is in the document, or None."""
        return self._send("GET", f"{self.session}/element/{self.find(css)}/attribute/{name}")

    def click(self, css):
        """A click of the mouse in the middle of the element."""
        self._post(f"/element/{self.find(css)}/click")

    def type(self, css, text):
        """Keys, one after the other, into the element."""
        self._post(f"/element/{self.find(css)}/value", text=text)

    def press(self, key):
        """A key of the keyboard, wherever the focus is."""
        presses = [{"type": kind, "value": key} for kind in ("keyDown", "keyUp")]
        self._post("/actions", actions=[{"type": "key", "id": "keys", "actions": presses}])

    def run(self, script, *args):
        """The value that a script returns."""
        return self._post("/execute/sync", script=script, args=list(args))

    def invoke(self, command, request):
        """What the app answers to a command of the page: `{ok}` or `{error}`."""
        script = """
            const [command, request, done] = arguments;
            window.__TAURI_INTERNALS__.invoke(command, request === null ? {} : { request })
                .then((ok) => done({ ok }), (error) => done({ error }));
        """
        return self._post("/execute/async", script=script, args=[command, request])

    def picture(self):
        """A PNG of the page."""
        return base64.b64decode(self._send("GET", f"{self.session}/screenshot"))

    def middle(self, css):
        """Middle of the element, in CSS pixels from the page's corner, scrolled into view."""
        return self.run(
            "const e = document.querySelector(arguments[0]); e.scrollIntoView({ block: 'nearest' });"
            "const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2];",
            css,
        )

    def close(self):
        """Ends the session, and with it the app."""
        self._send("DELETE", self.session)
