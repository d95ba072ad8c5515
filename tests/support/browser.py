"""Chromium without a window, driven through chromedriver by the W3C WebDriver protocol."""

import base64
import json
import re
import subprocess
import tempfile
import urllib.error
import urllib.request

_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


class Browser:
    """One session; `close` ends it."""

    def __init__(self):
        self._folder = tempfile.TemporaryDirectory(prefix="pipe-browser-", ignore_cleanup_errors=True)
        self._driver = subprocess.Popen(
            ["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        for line in self._driver.stdout:
            found = re.search(r"started successfully on port (\d+)", line)
            if found:
                self._base = f"http://127.0.0.1:{found[1]}"
                break
        else:
            raise AssertionError("chromedriver did not start")
        args = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
                f"--user-data-dir={self._folder.name}"]
        asked = {"alwaysMatch": {"goog:chromeOptions": {"args": args}, "goog:loggingPrefs": {"browser": "ALL"}}}
        try:
            self._session = "/session/" + self._call("POST", "/session", {"capabilities": asked})["sessionId"]
        except BaseException:
            self._end()
            raise

    def _call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._base + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=600) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(json.load(error)["value"]["message"]) from None

    def _do(self, method, path, body=None):
        return self._call(method, self._session + path, body)

    def _end(self):
        self._driver.terminate()
        self._driver.wait(120)
        self._driver.stdout.close()
        self._folder.cleanup()

    def close(self):
        try:
            self._do("DELETE", "")
        finally:
            self._end()

    def open(self, path):
        self._do("POST", "/url", {"url": f"file://{path}"})

    def look(self, width, height, dark):
        """Sets the size of the screen, and what colours its reader prefers."""
        self.devtools("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.devtools("Emulation.setEmulatedMedia", features=[scheme])

    def devtools(self, command, **params):
        return self._do("POST", "/goog/cdp/execute", {"cmd": command, "params": params})

    def run(self, script, *args):
        """What a function body of JavaScript returns."""
        return self._do("POST", "/execute/sync", {"script": script, "args": list(args)})

    def all(self, selector):
        found = self._do("POST", "/elements", {"using": "css selector", "value": selector})
        return [Element(self, one[_ELEMENT]) for one in found]

    def one(self, selector):
        found = self.all(selector)
        assert len(found) == 1, f"{len(found)} elements are `{selector}`"
        return found[0]

    def press(self, *keys):
        """Keys as a person presses them, one after the other, on what has the focus."""
        actions = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self._do("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})

    def complaints(self):
        """What the browser's console has, since it was last asked."""
        return [entry["message"] for entry in self._do("POST", "/se/log", {"type": "browser"})]

    def picture(self, path):
        """The page as it is seen now."""
        with open(path, "wb") as file:
            file.write(base64.b64decode(self._do("GET", "/screenshot")))


class Element:
    def __init__(self, browser, name):
        self._browser, self._path = browser, f"/element/{name}"

    def _do(self, method, path, body=None):
        return self._browser._do(method, self._path + path, body)

    @property
    def text(self):
        return self._do("GET", "/text")

    def get(self, attribute):
        return self._do("GET", f"/attribute/{attribute}")

    def click(self):
        self._do("POST", "/click", {})

    def type(self, text):
        self._do("POST", "/value", {"text": text})

    def clear(self):
        self._do("POST", "/clear", {})
