"""How a host is treated that complains, or that one has to be gentle with."""

import collections
import threading
import time
import unittest

from registries import Answer, FakeRegistry, Image
from steps import StepTest

MANY = Image(sizes=(200_000,) * 24, seed=5)
BIG = Image(sizes=(8_000_000,), seed=6)


class CountingRegistry(FakeRegistry):
    """Knows how many requests for blobs it answers at once, and when they came."""

    def __init__(self, **options):
        super().__init__(**options)
        self.now = self.most = 0
        self.times = []
        self.slow = 0

    def answer(self, request):
        if "/blobs/" not in request.path:
            return super().answer(request)
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
            self.times.append(time.monotonic())
        try:
            time.sleep(self.slow)
            return super().answer(request)
        finally:
            with self._lock:
                self.now -= 1


class Manners(StepTest):
    def registry(self, **options):
        registry = CountingRegistry(**options)
        registry.__enter__()
        self.addCleanup(registry.__exit__)
        registry.add(MANY, "many", "1")
        registry.add(BIG, "big", "1")
        return registry

    def test_a_host_that_complains_is_left_alone_by_all(self):
        complained = threading.Event()
        silence = collections.deque()

        def fault(request):
            if "/blobs/" in request.path and not complained.is_set():
                complained.set()
                silence.append(time.monotonic())
                return Answer(429, headers={"Retry-After": "1"})
            return None

        registry = self.registry(fault=fault)
        registry.slow = 0.02
        self.step("pull", image=f"{registry.address}/many:1")
        # What was under way when the complaint came may still arrive.
        disturbed = [t - silence[0] for t in registry.times if 0.2 < t - silence[0] < 0.9]
        self.assertEqual(disturbed, [])

    def test_a_host_that_complains_gets_less_at_once(self):
        complained = threading.Event()

        def fault(request):
            if "/blobs/" in request.path and not complained.is_set():
                complained.set()
                threading.Timer(0.6, setattr, (registry, "most", 0)).start()  # who was under way has ended
                return Answer(503, headers={"Retry-After": "1"})
            return None

        registry = self.registry(fault=fault)
        registry.slow = 0.05
        self.step("pull", image=f"{registry.address}/many:1")
        self.assertLessEqual(registry.most, 5)
        quiet = self.registry()
        quiet.slow = 0.05
        self.other_pipe("other").step("pull", image=f"{quiet.address}/many:1")
        self.assertGreaterEqual(quiet.most, 8)

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
