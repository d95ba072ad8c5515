"""The code in the guides is the code that is compiled: `<!-- path -->` above a block names its file."""

import os
import re
import unittest
from pathlib import Path

SOURCE = Path(os.environ["PIPE_SOURCE_DIR"])
BLOCK = re.compile(r"^<!-- (\S+/\S+\.\w+) -->\n```\w*\n(.*?)^```$", re.M | re.S)


class GuideCode(unittest.TestCase):
    def test_blocks_equal_their_files(self):
        seen = set()
        for page in sorted((SOURCE / "docs").rglob("*.md")):
            for name, code in BLOCK.findall(page.read_text()):
                seen.add(name)
                with self.subTest(page=page.name, file=name):
                    self.assertEqual(code, (SOURCE / name).read_text())
        examples = {str(p.relative_to(SOURCE)) for p in (SOURCE / "sdk/examples").rglob("*") if p.is_file()}
        self.assertEqual(examples - seen, set(), "an example that no page shows")


if __name__ == "__main__":
    unittest.main()
