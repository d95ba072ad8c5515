"""`pipe graph` in each of its forms."""

import re
import unittest
import xml.etree.ElementTree as xml

from cli_case import CliCase

SVG = "{http://www.w3.org/2000/svg}"


class GraphCase(CliCase):
    def graph(self, path, form="text", env=None):
        result = self.pipe.run(["graph", path, "--format", form], env={"LC_ALL": "C.UTF-8", **(env or {})})
        self.assert_code(result, 0)
        return result.out

    def steps(self, needs, table="step"):
        """Steps of `noop` that need what is said of them."""
        return "".join(f'[[{table}]]\nid = "{n}"\nuses = "noop"\nneeds = {list(on)}\n'.replace("'", '"') for n, on in needs.items())

    def shop(self):
        return self.pipeline(
            self.steps({"a": "", "b": "a", "c": "ab", "d": "a", "e": "cd"})
            + '[[step]]\nid = "many"\nuses = "noop"\nfor_each = ["x", "y", "z"]\nneeds = ["e"]\n'
            + '[[step]]\nid = "last"\nuses = "noop"\nneeds = ["many"]\n'
            + self.steps({"tidy": ""}, "finally"))


class Forms(GraphCase):
    def test_text(self):
        self.assertEqual(
            self.graph(self.shop()),
            "● a       noop\n"
            "├─● b     noop\n"
            "│ ● c     noop\n"
            "│ ● e     noop      also after d\n"
            "│ ● many  noop × 3\n"
            "│ ● last  noop\n"
            "└─● d     noop\n"
            "\n"
            "finally, however the steps above end:\n"
            "● tidy    noop\n",
        )
        plain = self.graph(self.shop(), env={"LC_ALL": "C"})
        self.assertIn("|-* b", plain)
        self.assertIn("`-* d", plain)

    def test_dot(self):
        text = self.graph(self.shop(), "dot")
        self.assertTrue(text.startswith('digraph "t" {\n'))
        edges = set(re.findall(r'^  "(\w+)" -> "(\w+)";$', text, re.M))
        self.assertEqual(edges, {("a", "b"), ("b", "c"), ("a", "d"), ("c", "e"), ("d", "e"), ("e", "many"), ("many", "last")})
        self.assertIn('"many" [label="many\\nnoop × 3", peripheries=2];', text)
        self.assertIn("subgraph cluster_finally", text)

    def test_mermaid(self):
        text = self.graph(self.shop(), "mermaid")
        self.assertTrue(text.startswith("flowchart TD\n"))
        self.assertIn('  s5[["many<br/>noop × 3"]]\n', text)
        self.assertIn("  s3 --> s4\n", text)

    def test_svg(self):
        root = xml.fromstring(self.graph(self.shop(), "svg"))
        boxes = {g.get("data-step"): g.find(SVG + "rect") for g in root.iter(SVG + "g")}
        self.assertEqual(set(boxes), {"a", "b", "c", "d", "e", "many", "last", "tidy"})
        y = {name: float(box.get("y")) for name, box in boxes.items()}
        self.assertTrue(y["a"] < y["b"] < y["c"] < y["e"] < y["last"] < y["tidy"], y)
        self.assertEqual(len([p for p in root.findall(SVG + "path") if p.get("marker-end")]), 7)

    def test_a_hundred_steps_do_not_overlap(self):
        needs = {f"s{i}": [f"s{j}" for j in {(i * 7) % i, (i * 3 + 1) % i, i // 2}] if i else [] for i in range(100)}
        root = xml.fromstring(self.graph(self.pipeline(self.steps(needs)), "svg"))
        boxes = [tuple(float(g.findall(SVG + "rect")[-1].get(k)) for k in ("x", "y", "width", "height")) for g in root.iter(SVG + "g")]
        self.assertEqual(len(boxes), 100)
        for i, (x, y, w, h) in enumerate(boxes):
            for x2, y2, w2, h2 in boxes[:i]:
                self.assertFalse(x < x2 + w2 and x2 < x + w and y < y2 + h2 and y2 < y + h, "two boxes overlap")
        self.assertLess(float(root.get("width")), 2500)

    def test_deep_and_wide(self):
        count = 3000
        path = self.pipeline("".join(f'[[step]]\nid = "s{i}"\nuses = "noop"\n' for i in range(count))
                             + "".join(f'[[step]]\nid = "w{i}"\nuses = "noop"\nneeds = ["s0"]\n' for i in range(count)))
        self.assertEqual(len(self.graph(path).splitlines()), 2 * count)
        for form in ("dot", "mermaid", "svg"):
            self.assertIn("w2999", self.graph(path, form))


class Wrong(GraphCase):
    def test_what_cannot_be_drawn(self):
        path = self.pipeline(self.scripted("a"))
        result = self.pipe.run(["graph", path, "--format", "png"])
        self.assert_code(result, 2)
        self.assertIn("text, dot, mermaid or svg", result.err)
        result = self.pipe.run(["graph", self.pipeline(self.steps({"a": "b", "b": "a"}))])
        self.assert_code(result, 3)
        self.assertIn("wait for each other", result.err)


if __name__ == "__main__":
    unittest.main()
