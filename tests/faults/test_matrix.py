"""Every operation under every fault of the matrix ends right or with a clear error, in time, and never with a wrong
byte in store or registry.

    python3 tests/faults/test_matrix.py -v                                  # all cells, many at once
    python3 tests/faults/test_matrix.py -v Matrix.test_cut__pull__once      # one
"""

import concurrent.futures
import re
import sys
import unittest

from matrix import READING, WRITING, fits
from operations import OPERATIONS, World, check_rehashed, play

AT_ONCE = 12  # cells: most of their time is waiting


def cells():
    """(name of the test, row, operation, once) of each cell that there is."""
    for operation in OPERATIONS:
        for row in READING if operation.reads else WRITING:
            for once in (True, False):
                if row.expected(operation, once) is not None:
                    words = (row.name, operation.title, "once" if once else "each")
                    yield "test_" + "__".join(re.sub(r"\W+", "_", w) for w in words), row, operation, once


class Matrix(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = cls.enterClassContext(World())
        cls.pool = concurrent.futures.ThreadPoolExecutor(AT_ONCE)
        cls.addClassCleanup(cls.pool.shutdown, cancel_futures=True)
        chosen = {a.rpartition(".")[2] for a in sys.argv[1:] if "test_" in a}
        cls.played = {
            name: cls.pool.submit(play, cls.world, row, operation, once)
            for name, row, operation, once in cells()
            if not chosen or name in chosen
        }

    def test_zz_every_blob_of_the_registries_is_right(self):
        """Last, as unittest sorts by name: what all the cells left."""
        concurrent.futures.wait(self.played.values())
        for registry in (self.world.source, self.world.target):
            self.assertGreaterEqual(check_rehashed(registry), len(self.world.image.blobs) + 1)


def _test(name, row, operation, once):
    def test(self):
        error = self.played[name].result()
        expected = row.expected(operation, once)
        self.assertTrue(fits(expected, error), f"expected: {expected}\n{error or 'it ended right'}")

    test.__doc__ = f"{operation.title}: {row.title}, {'once' if once else 'each time'}"
    return test


for _cell in cells():
    setattr(Matrix, _cell[0], _test(*_cell))

if __name__ == "__main__":
    unittest.main()
