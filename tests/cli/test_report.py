"""The report of a run: opened in a browser, clicked through, and read by machines."""

import json
import os
import re
import unittest
import xml.etree.ElementTree as xml

from browser import Browser
from cli_case import CliCase

NASTY = "</script><script>document.title='broken'</script><!-- <b>&amp; \\u2028 '\\\""
ENTER = "\ue007"
MARKS = """return [...document.querySelectorAll("#lines mark")].map((mark) => mark.textContent)"""


class ReportCase(CliCase):
    def failed_run(self, *words):
        """A run with all that a report has: a change, blobs, instances, a failure, a secret, a step that never ran."""
        self.pipe.env["TEST_TOKEN"] = "s3cr3t-t0ken"
        head = '[vars.text]\ndefault = "hello"\n[secrets.token]\nfrom = [{ env = "TEST_TOKEN" }]\n'
        steps = (
            f'[[step]]\nid = "greet"\nuses = "echo"\nwith.text = "${{vars.text}}"\nwith.file = "{self.folder}/out"\n'
            'with.secret = "${secrets.token}"\nwith.tell = true\n'
            '[[step]]\nid = "move"\nuses = "blobs"\nwith.sizes = [4000000, 3000000]\nwith.time = "200ms"\n'
            '[[step]]\nid = "many"\nuses = "echo"\nfor_each = [' + ", ".join(f'"i{i}"' for i in range(12)) + "]\n"
            'with.text = "${each.key}"\n'
            + self.scripted("bad", fail=9, status='"denied"')
            + f'[[step]]\nid = "after"\nuses = "echo"\nwith.text = "{NASTY}"\n'
            + f'[[finally]]\nid = "nasty"\nuses = "echo"\nwith.text = "{NASTY}"\n'
        )
        self.page = self.folder / "report.html"
        return self.pipe.run(["run", self.pipeline(steps, head), "--report", f"html={self.page}", *words])



class Html(ReportCase):
    @classmethod
    def setUpClass(cls):
        cls.chromium = Browser()
        cls.addClassCleanup(cls.chromium.close)

    def show(self, page, width=1280, height=900, dark=False):
        """The one browser, with a page in it that has drawn itself."""
        self.chromium.look(width, height, dark)
        self.chromium.open(page)
        self.assertEqual(self.chromium.run("return document.documentElement.dataset.ready"), "true")
        self.assertEqual(self.chromium.complaints(), [])
        return self.chromium

    def open(self, **kwargs):
        self.assert_code(self.failed_run("--set", "text=hi"), 1)
        return self.show(self.page, **kwargs)

    def test_it_is_one_file_without_secrets(self):
        self.failed_run()
        text = self.page.read_text()
        self.assertNotIn("s3cr3t-t0ken", text)
        self.assertNotRegex(text, r'(src|href)="(?!#|data:)')
        self.assertNotIn("url(h", text)
        # What others wrote can neither end the element it stands in nor begin another.
        data = re.search(r'<script type="application/json" id="events">(.*?)</script>', text, re.S)[1]
        self.assertNotIn("<", data)
        events = json.loads(data)
        self.assertEqual(events[-1]["type"], "run_ended")
        self.assertIn("</script>", json.dumps(events))

    def test_what_it_shows(self):
        b = self.open()
        self.assertEqual(b.run("return document.title"), "t: failed · pipe run")
        self.assertIn("failed", b.one("#name").text)
        counts = b.one("#counts").text
        for what in ("17 steps", "1\nfailed", "1\nnot run"):
            self.assertIn(what, counts)
        self.assert_says(b.one("#failures").text, "bad failed", "bad did not work", "try again", "this is bad")
        self.assert_says(b.one("#about").text, "Settings", "hi")
        # The timeline: blobs below their step, twelve instances in one line.
        self.assertEqual(len(b.all(".row.blob")), 2)
        fold = b.one("button.fold")
        self.assertEqual(fold.text, "many × 12")
        rows = len(b.all("#bars .row"))
        fold.click()
        self.assertEqual(len(b.all("#bars .row")), rows + 12)
        self.assertEqual(fold.get("aria-expanded"), "true")
        # What moved.
        self.assert_says(b.one("#moved").text, "7.0 MB", "move")
        self.assertEqual(b.complaints(), [])

    def test_steps_open_and_say_what_they_were_given(self):
        b = self.open()
        b.one('details[data-step="greet"] summary').click()
        # A browser tells a page that a part was opened a moment after it is.
        self.wait_until(lambda: "Parameters" in b.one('details[data-step="greet"]').text, "what is in it")
        inside = b.one('details[data-step="greet"]').text
        self.assert_says(inside, "Parameters", "secret", "***", "Outputs", "Log", "text")
        b.one("#filter").type("many")
        self.assertEqual(len(b.all("#list details")), 12)
        b.one("#filter").clear()
        b.one("#filter").type("no such step")
        self.assertIn("No step is like that", b.one("#list").text)

    def test_the_graph_leads_to_the_step(self):
        b = self.open()
        self.assertEqual(len(b.all("#drawing .step")), 6)
        self.assertEqual(b.one('#drawing [data-step="bad"]').get("aria-label"), "bad: failed")
        b.run("""document.querySelector('#drawing [data-step="bad"]').focus()""")
        b.press(ENTER)
        self.assertIsNotNone(b.one('details[data-step="bad"]').get("open"))
        self.assertEqual(b.run("return document.activeElement.parentElement.dataset.step"), "bad")

    def test_the_log_is_searched_by_keyboard(self):
        b = self.open()
        b.press("/")
        self.assertEqual(b.run("return document.activeElement.id"), "search")
        b.press(*"THIS IS")
        self.wait_until(lambda: b.run(MARKS) == ["this is"], "the search")
        self.assertIn(" of ", b.one("#found").text)
        b.one("#search").clear()
        b.one("#loud").click()
        self.wait_until(lambda: "secret" in (lines := b.one("#lines").text) and "this is bad" not in lines, "the warning alone")

    def test_two_reports_are_two_files(self):
        result = self.pipe.run(["run", self.pipeline(self.scripted("a")), "--report", "html=r", "--report", "junit=r"])
        self.assert_code(result, 2)
        self.assertIn("two reports cannot be the one file r", result.err)
        self.assertEqual(self.notes(), [])

    def test_what_is_found_is_marked_where_it_stands(self):
        page = self.folder / "marked.html"
        step = '[[step]]\nid = "a"\nuses = "shell"\nwith.run = "echo İİİ Needle 바늘"\n'
        self.assert_code(self.pipe.run(["run", self.pipeline(step), "--report", f"html={page}"]), 0)
        b = self.show(page)
        b.one("#search").type("needle 바")
        self.wait_until(lambda: b.run(MARKS) == ["Needle 바"], "the search")

    def test_nasty_text_stays_text(self):
        b = self.open()
        b.one('details[data-step="nasty"] summary').click()
        text = "</script><script>document.title='broken'</script><!-- <b>&amp;"
        self.wait_until(lambda: text in b.one('details[data-step="nasty"]').text, "what is in it")
        self.assertEqual(b.run("return document.title"), "t: failed · pipe run")

    def test_a_phone_needs_no_scrolling_sideways(self):
        b = self.open(width=390, height=844, dark=True)
        self.assertLessEqual(b.run("return document.documentElement.scrollWidth"), 390)
        dark = b.run("return getComputedStyle(document.body).backgroundColor")
        self.assertLess(sum(map(int, re.findall(r"\d+", dark)[:3])), 150)
        b.one("#theme").click()
        light = b.run("return getComputedStyle(document.body).backgroundColor")
        self.assertGreater(sum(map(int, re.findall(r"\d+", light)[:3])), 600)

    def test_all_text_has_contrast(self):
        """Every colour that text has on a card or on the page: 4.5 to 1 (WCAG 2.2, 1.4.3)."""
        for dark in (False, True):
            b = self.open(dark=dark)
            worst = b.run(
                """
                const style = getComputedStyle(document.documentElement);
                const light = (name) => {
                  const hex = style.getPropertyValue(name).trim().replace(/^#(.)(.)(.)$/, "#$1$1$2$2$3$3");
                  const [r, g, b] = [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16) / 255)
                    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
                  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
                };
                const contrast = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + 0.05) / (y + 0.05); };
                const found = {};
                for (const ink of ["--ink", "--faint", "--accent", "--failed", "--changed", "--unchanged", "--skipped", "--undone"])
                  for (const paper of ["--paper", "--card", "--soft"]) found[ink + " on " + paper] = contrast(ink, paper);
                return found;
                """
            )
            self.assertEqual({pair: ratio for pair, ratio in worst.items() if ratio < 4.5}, {}, f"dark={dark}")

    def test_afterwards_from_the_journal(self):
        self.failed_run()
        again = self.folder / "again.html"
        self.assert_code(self.pipe.run(["report", "t", "--output", again]), 0)
        self.assertEqual(again.read_text(), self.page.read_text())
        b = self.show(again)
        self.assertEqual(b.run("return document.title"), "t: failed · pipe run")
        made = self.pipe.run(["report"])
        self.assert_code(made, 0)
        self.assertRegex(made.out, r"^\d{8}T\d{6}\.\d{3}Z-t\.html\n$")
        self.assertTrue((self.folder / made.out.strip()).exists())

    def test_of_a_run_that_was_killed(self):
        self.failed_run()
        journal = self.pipe.journals()[-1]
        journal.write_bytes(b"\n".join(journal.read_bytes().splitlines()[:-1]) + b'\n{"type":"lo')
        self.assert_code(self.pipe.run(["report", "last", "--output", self.folder / "k.html"]), 0)
        b = self.show(self.folder / "k.html")
        self.assertIn("This run has no end", b.one("#failures").text)

    @unittest.skipUnless(os.environ.get("PIPE_PICTURES"), "makes pictures for people, on demand")
    def test_pictures(self):
        for width, height in ((1280, 2400), (390, 3200)):
            for dark in (False, True):
                b = self.open(width=width, height=height, dark=dark)
                b.one('details[data-step="greet"] summary').click()
                b.run("scrollTo(0, 0)")
                b.picture(f"{os.environ['PIPE_PICTURES']}/{width}-{'dark' if dark else 'light'}.png")


class Junit(ReportCase):
    def test_cases(self):
        file = self.folder / "r.xml"
        self.failed_run("--report", f"junit={file}")
        suite = xml.parse(file).getroot().find("testsuite")
        self.assertEqual({k: suite.get(k) for k in ("name", "tests", "failures", "skipped")},
                         {"name": "t", "tests": "17", "failures": "1", "skipped": "1"})
        cases = {case.get("name"): case for case in suite}
        self.assertEqual(cases["bad"].find("failure").get("message"), "bad did not work")
        self.assert_says(cases["bad"].find("failure").text, "try again", "this is bad")
        self.assertEqual(cases["after"].find("skipped").get("message"), "it did not run")
        self.assertNotIn("s3cr3t-t0ken", file.read_text())
        self.assertIn('many["i3"]', cases)


class Orders(CliCase):
    def test_what_cannot_be_written_is_said_before_anything_runs(self):
        path = self.pipeline(self.scripted("a"))
        for order, says in (("html", "KIND=FILE"), ("htlm=x", "did you mean `html`"), ("html=/no/such/folder/x", "/no/such/folder/x")):
            result = self.pipe.run(["run", path, "--report", order])
            self.assert_code(result, 2)
            self.assertIn(says, result.err)
        self.assertEqual(self.notes(), [])
        self.assertEqual(self.pipe.journals(), [])


if __name__ == "__main__":
    unittest.main()
