"""`prune`: which tags go, what stays because something needs it, and what happens when the registry refuses."""

import datetime
import json
import unittest

from artifacts import Artifact, ListingRegistry, RawIndex, cosign_tag, descriptor_of, fallback_tag
from registries import Answer, FakeRegistry, Image, Index, Registry
from steps import StepTest


def days_ago(days):
    then = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=days)
    return then.isoformat(timespec="seconds").replace("+00:00", "Z")


def image(number, days=None, **more):
    return Image(sizes=(500 + number,), seed=300 + number, created=days_ago(days) if days is not None else None, **more)


class PruneTest(StepTest):
    """`self.there` is one of Debian's docker-registry, empty before each test."""

    def setUp(self):
        super().setUp()
        self.there = self.registry()

    def registry(self, kind=Registry, **options):
        registry = kind(**options)
        registry.__enter__()
        self.addCleanup(registry.__exit__, None, None, None)
        return registry

    def params(self, **params):
        return {"registry": self.there.address, "repositories": ["team/app"], **params}

    def prune(self, **params):
        outputs = self.step("prune", **self.params(**params))
        outputs["report"] = json.loads(outputs["report"])
        return outputs

    def tags(self, repository="team/app"):
        status, _, body = self.there.request("GET", f"/v2/{repository}/tags/list")
        return sorted(json.loads(body)["tags"] or ()) if status == 200 else []

    def push(self, tagged, repository="team/app"):
        for tag, one in tagged.items():
            self.there.push(one, repository, tag)

    def ages(self, *days):
        """Tags a, b, c … of images that old."""
        self.push({chr(ord("a") + n): image(n, age) for n, age in enumerate(days)})


class Rules(PruneTest):
    def test_keeps_the_newest_and_the_young(self):
        self.ages(1, 3, 10, 20, 30)
        outputs = self.prune(keep=2, keep_within="15d")
        self.assertEqual(self.tags(), ["a", "b", "c"])
        self.assertEqual((outputs["deleted"], outputs["kept"]), (2, 3))
        why = {entry["tag"]: entry["why"] for entry in outputs["report"]}
        self.assertEqual(why["a"], "one of the 2 newest")
        self.assertEqual(why["c"], "10 days old")
        self.assertEqual(why["e"], "no rule keeps it")

    def test_a_second_time_changes_nothing_and_asks_for_heads_only_where_age_does_not_matter(self):
        self.push({f"1.{n}": image(n) for n in range(5)})
        self.prune(keep=2, order="version")
        self.assertEqual(self.tags(), ["1.3", "1.4"])
        self.there.forget_requests()
        outputs = self.prune(keep=2, order="version")
        self.assertEqual(outputs["deleted"], 0)
        self.assertEqual([m for m, _, _ in self.there.requests], ["GET", "HEAD", "HEAD"])

    def test_keeps_tags_by_name_pattern_and_range_and_what_the_rules_are_not_for(self):
        self.push({tag: image(n, 50 + n) for n, tag in enumerate(("latest", "1.0", "2.0", "2.1", "pr-1", "pr-2"))})
        self.prune(keep_tags=["latest", ">=2.1"], tags=["latest", "*.*"])
        self.assertEqual(self.tags(), ["2.1", "latest", "pr-1", "pr-2"])

    def test_several_repositories_by_glob(self):
        for repository in ("team/app", "team/lib", "other"):
            self.push({"old": image(1, 40), "new": image(2, 1)}, repository)
        self.prune(repositories=["team/*"], keep=1)
        self.assertEqual([self.tags(r) for r in ("team/app", "team/lib", "other")], [["new"], ["new"], ["new", "old"]])

    def test_what_has_no_date_is_kept(self):
        self.push({"undated": image(1), "epoch": image(2, 20000), "old": image(3, 40)})
        self.prune(keep_within="1d")
        self.assertEqual(self.tags(), ["epoch", "undated"])

    def test_an_annotation_says_when(self):
        self.push({
            "config": image(1, 1),
            "annotation": image(2, 1, annotations={"org.opencontainers.image.created": days_ago(50)}),
        })  # fmt: skip
        self.prune(keep_within="7d")
        self.assertEqual(self.tags(), ["config"])

    def test_rules_that_keep_nothing_are_refused(self):
        self.ages(1)
        self.failure("prune", "no rule keeps anything", **self.params())
        self.failure("prune", "is no repository", **self.params(repositories=["team/app:1"], keep=1))
        self.assertEqual(self.tags(), ["a"])


class Needed(PruneTest):
    def test_a_manifest_that_a_kept_tag_shares_stays_with_its_tag(self):
        one = image(1, 50)
        self.push({"1.0": one, "latest": one, "0.9": image(2, 60)})
        outputs = self.prune(keep_tags=["latest"])
        self.assertEqual(self.tags(), ["1.0", "latest"])
        why = {entry["tag"]: entry["why"] for entry in outputs["report"]}
        self.assertEqual(why["1.0"], "the same image as latest, which stays")
        self.assertEqual(self.there.digest("team/app", "latest"), one.digest)

    def test_the_images_of_a_kept_index_stay_also_under_tags_that_go(self):
        amd, arm = image(1, 50), image(2, 50, architecture="arm64")
        self.push({"multi": Index([amd, arm]), "multi-amd64": amd, "old": image(3, 60)})
        self.prune(keep_tags=["multi"])
        self.assertEqual(self.tags(), ["multi", "multi-amd64"])
        for one in (amd, arm):
            self.assertEqual(self.there.digest("team/app", one.digest), one.digest)

    def test_an_index_goes_with_those_of_its_images_that_nobody_else_needs(self):
        own, shared = image(1, 50), image(2, 50, architecture="arm64")
        self.push({"old": Index([own, shared]), "new": Index([shared, image(3, 1)])})
        self.prune(keep=1)
        self.assertEqual(self.tags(), ["new"])
        self.assertIsNone(self.there.digest("team/app", own.digest))
        self.assertEqual(self.there.digest("team/app", shared.digest), shared.digest)

    def test_signatures_and_referrers_go_and_stay_with_their_image(self):
        old, new = image(1, 50), image(2, 1)
        self.push({"old": old, "new": new})
        sboms = {}
        for one in (old, new):
            sboms[one] = Artifact("application/spdx+json", one.digest.encode(), subject=one)
            self.push({
                cosign_tag(one): Artifact("sig", b"signature of " + one.digest.encode()),
                fallback_tag(one): RawIndex([descriptor_of(sboms[one])], [sboms[one]]),
            })  # fmt: skip
        self.prune(keep=1)
        self.assertEqual(self.tags(), sorted(["new", cosign_tag(new), fallback_tag(new)]))
        self.assertIsNone(self.there.digest("team/app", sboms[old].digest))
        self.assertEqual(self.there.digest("team/app", sboms[new].digest), sboms[new].digest)

    def test_one_signature_of_two_images_stays_while_one_of_them_does(self):
        old, new, signature = image(1, 50), image(2, 1), Artifact("sig", b"both")
        self.push({"old": old, "new": new, cosign_tag(old): signature, cosign_tag(new): signature})
        self.prune(keep=1)
        self.assertIn(cosign_tag(new), self.tags())
        self.assertNotIn("old", self.tags())

    def test_referrers_that_the_registry_lists(self):
        self.there = self.registry(ListingRegistry)
        old, new = image(1, 50), image(2, 1)
        sboms = [Artifact("application/spdx+json", b"sbom", subject=one) for one in (old, new)]
        for tag, one in (("old", old), ("new", new), (None, sboms[0]), (None, sboms[1])):
            self.there.add(one, "team/app", tag)
        self.prune(keep=1)
        self.assertEqual(self.there.digest("team/app", sboms[1].digest), sboms[1].digest)
        self.assertIsNone(self.there.digest("team/app", sboms[0].digest))

    def test_a_tagged_artifact_stays_with_the_image_it_refers_to(self):
        new = image(1, 1)
        self.push({"new": new, "sbom": Artifact("application/spdx+json", b"sbom", subject=new), "old": image(2, 9)})
        self.prune(keep_tags=["new"])
        self.assertEqual(self.tags(), ["new", "sbom"])


class Plan(PruneTest):
    def plan(self, **params):
        lines = [f"with.{key} = {json.dumps(value)}" for key, value in self.params(**params).items()]
        file = self.pipe.write("p.toml", "\n".join(["schema = 1", "[[step]]", 'uses = "prune"', *lines]) + "\n")
        return self.pipe.run(["plan", file])

    def test_says_what_goes_and_what_stays_and_why_and_changes_nothing(self):
        self.ages(1, 20)
        self.there.forget_requests()
        said = self.plan(keep=1)
        self.assertEqual(said.code, 0, said)
        text = said.out + said.err
        self.assertRegex(text, r"team/app:b +sha256:\w+, 20 days old -> deleted")
        self.assertRegex(text, r"team/app:a +sha256:\w+, \w+ \w+ old -> stays: one of the 1 newest")
        self.assertRegex(text, r"1 tag to be deleted, 1 kept")
        self.assertEqual(self.tags(), ["a", "b"])
        self.assertEqual([m for m, _, _ in self.there.requests if m not in ("GET", "HEAD")], [])

    def test_more_than_delete_max_deletes_nothing(self):
        self.ages(1, 20, 21, 22)
        self.failure("prune", r"3 tags would be deleted, more than delete_max = 2: nothing is.*team/app:d",
                     **self.params(keep=1, delete_max=2))  # fmt: skip
        self.assertEqual(self.tags(), ["a", "b", "c", "d"])
        self.prune(keep=1, delete_max=3)
        self.assertEqual(self.tags(), ["a"])


class Faults(PruneTest):
    def test_deletion_is_off(self):
        self.there = self.registry(delete=False)
        self.ages(1, 20)
        self.failure("prune", "deletion is off at this registry.*REGISTRY_STORAGE_DELETE_ENABLED=true",
                     **self.params(keep=1))  # fmt: skip
        self.assertEqual(self.tags(), ["a", "b"])

    def test_the_registry_is_read_only(self):
        self.ages(1, 20)
        readonly = self.registry(maintenance={"readonly": {"enabled": True}})
        readonly.stop()
        readonly.data.parent.joinpath("data").symlink_to(self.there.data)
        self.there = readonly.start()
        self.failure("prune", "takes no changes: it is read-only", **self.params(keep=1))
        self.assertEqual(self.tags(), ["a", "b"])

    def test_a_registry_without_a_catalogue(self):
        self.there = self.registry(FakeRegistry)
        self.there.add(image(1, 1), "team/app", "a")
        self.failure("prune", "team/app|name", **self.params(repositories=["*"], keep=1))

    def test_stops_in_the_middle_and_the_next_run_ends_it(self):
        self.there = self.registry(FakeRegistry)
        for n, age in enumerate((1, 20, 21, 22)):
            self.there.add(image(n, age), "team/app", "abcd"[n])
        deletions = []

        def fault(request):
            if request.method == "DELETE":
                deletions.append(request.path)
                return Answer(403, "{}") if len(deletions) == 2 else None
            return None

        self.there.fault = fault
        self.failure("prune", "can't delete .*403", **self.params(keep=1))
        self.assertEqual(len(self.tags()), 3)
        self.there.fault = lambda request: None
        self.assertEqual(self.prune(keep=1)["deleted"], 2)
        self.assertEqual(self.tags(), ["a"])

    def test_a_tag_that_was_moved_meanwhile_keeps_its_image(self):
        self.there = self.registry(FakeRegistry)
        old = image(1, 20)
        self.there.add(image(0, 1), "team/app", "a")
        self.there.add(old, "team/app", "b")
        heads = []

        def fault(request):  # between the look and the deletion, `a` is rolled back to the old image
            if request.method == "HEAD" and request.path.endswith("/a"):
                heads.append(request)
                if len(heads) == 2:
                    self.there.add(old, "team/app", "a")
            return None

        self.there.fault = fault
        said = self.pipe.try_step("prune", **self.params(keep=1))
        self.assertEqual(said.code, 0, said)
        self.assertIn("was pushed meanwhile", said.out + said.err)
        self.assertEqual(self.tags(), ["a", "b"])


if __name__ == "__main__":
    unittest.main()
