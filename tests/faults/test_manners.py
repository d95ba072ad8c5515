"""How a host is treated that complains, or that one has to be gentle with."""

import threading
import time
import unittest

from registries import Answer, FakeRegistry, Image
from steps import StepTest

AT_ONCE = 8  # requests of a host, until it complains
HELD, SILENCE = 1.5, 4  # seconds
MANY = Image(sizes=(200_000,) * 24, seed=5)
BIG = Image(sizes=(8_000_000,), seed=6)


class CountingRegistry(FakeRegistry):
    """Knows when requests for layers came, and how many it then had at once. It answers none until AT_ONCE are there.
    With `complaint`, that is the status which the last of them gets; the others are held until that has been read."""

    def __init__(self, complaint=None, **options):
        super().__init__(**options)
        self.complaint, self.now, self.came = complaint, 0, []
        self._changed = threading.Condition()

    def answer(self, request):
        if "/blobs/" not in request.path or request.path.endswith(MANY.config["digest"]):
            return super().answer(request)
        with self._changed:
            self.now += 1
            self.came.append((time.monotonic(), self.now))
            number = len(self.came)
            self._changed.notify_all()
            self._changed.wait_for(lambda: len(self.came) >= AT_ONCE, 20)
        try:
            if self.complaint and number == AT_ONCE:
                return Answer(self.complaint, headers={"Retry-After": str(SILENCE)})
            time.sleep(HELD if self.complaint and number < AT_ONCE else 0.05)
            return super().answer(request)
        finally:
            with self._changed:
                self.now -= 1

    def since_complaint(self):
        """(seconds, at once) of each request for a layer."""
        complained = self.came[AT_ONCE - 1][0]
        return [(came - complained, now) for came, now in self.came]


class Manners(StepTest):
    def registry(self, **options):
        registry = CountingRegistry(**options)
        registry.__enter__()
        self.addCleanup(registry.__exit__)
        registry.add(MANY, "many", "1")
        registry.add(BIG, "big", "1")
        return registry

    def test_a_host_that_complains_is_left_alone_by_all(self):
        registry = self.registry(complaint=429)
        self.step("pull", image=f"{registry.address}/many:1")
        disturbed = [seconds for seconds, _ in registry.since_complaint()[AT_ONCE:] if seconds < SILENCE - 0.1]
        self.assertEqual(disturbed, [])

    def test_a_host_that_complains_gets_less_at_once(self):
        registry = self.registry(complaint=503)
        self.step("pull", image=f"{registry.address}/many:1")
        for seconds, now in registry.since_complaint()[AT_ONCE:]:
            self.assertLessEqual(now, AT_ONCE // 2 + int(seconds), "half as many, and one more with each second")
        quiet = self.registry()
        self.other_pipe("other").step("pull", image=f"{quiet.address}/many:1")
        self.assertGreaterEqual(max(now for _, now in quiet.came), AT_ONCE)

    def test_says_when_few_pulls_are_left(self):
        registry = self.registry()
        plain = registry._manifest

        def with_quota(request, repository, reference):
            answer = plain(request, repository, reference)
            answer.headers.update({"ratelimit-limit": "100;w=21600", "ratelimit-remaining": "3;w=21600"})
            return answer

        registry._manifest = with_quota
        said = self.said("step", "pull", "--image", f"{registry.address}/many:1")
        self.assertRegex(said, r"lets 3 more images be pulled \(limit 100;w=21600\)")
        self.assertEqual(said.count("more images be pulled"), said.count("warning: "), said)

    def test_says_nothing_while_enough_pulls_are_left(self):
        registry = self.registry()
        plain = registry._manifest

        def with_quota(request, repository, reference):
            answer = plain(request, repository, reference)
            answer.headers.update({"ratelimit-limit": "100;w=21600", "ratelimit-remaining": "76;w=21600"})
            return answer

        registry._manifest = with_quota
        self.assertNotIn("more images", self.said("step", "pull", "--image", f"{registry.address}/many:1"))


if __name__ == "__main__":
    unittest.main()
