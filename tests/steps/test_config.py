"""config: what is in the file, what Debian's docker-registry makes of it, and who may read it."""

import http.client
import http.server
import json
import pathlib
import re
import ssl
import subprocess
import threading
import time
import unittest

from registries import Certificates, FakeRegistry, Image, Registry, TokenServer, free_port
from steps import StepTest


class Served(Registry):
    """docker-registry with a file of the step's."""

    def __init__(self, config, port, ca_file=None, login=None):
        super().__init__(port=port)
        self._config = pathlib.Path(config)
        self.ca_file, self.login = ca_file, login

    @property
    def log(self):
        return self._log.read_text()


class Config(StepTest):
    def setUp(self):
        super().setUp()
        self.file = self.folder / "conf/config.yml"
        self.port = free_port()

    def params(self, **changes):
        settings = {"storage.filesystem.rootdirectory": self.folder / "data", **changes.pop("settings", {})}
        params = {"path_": self.file, "version": 2, "addr": f"127.0.0.1:{self.port}", "settings": settings, **changes}
        return {key: value for key, value in params.items() if value is not None}

    def write(self, **changes):
        """Secrets go by the environment: they may not be arguments."""
        params, env = self.params(**changes), {}
        for name in ("http_secret", "proxy_password", "redis_password"):
            if name in params:
                env[name.upper()] = params.pop(name)
                params[name + "_env"] = name.upper()
        return self.pipe.step("config", env, **params)

    def refused(self, *expected, **changes):
        return self.failure("config", *expected, **self.params(**changes))

    def serve(self, ca_file=None, login=None, **changes):
        """A registry that was started with the step's file, for the length of the test."""
        self.write(**changes)
        registry = Served(self.file, self.port, ca_file, login)
        self.addCleanup(registry.__exit__)
        return registry.start()

    def pipeline(self, **changes):
        lines = ["schema = 1", "[pipeline]", 'name = "config"', "[[step]]", 'uses = "config"']
        for key, value in self.params(**changes).items():
            if isinstance(value, dict):
                value = "{ " + ", ".join(f"{json.dumps(k)} = {json.dumps(str(v))}" for k, v in value.items()) + " }"
            else:
                value = json.dumps(str(value) if isinstance(value, pathlib.Path) else value)
            lines.append(f"with.{key.rstrip('_')} = {value}")
        return self.pipe.write("config.toml", "\n".join(lines) + "\n")

    # The file

    def test_a_file_that_only_its_reader_may_read_and_where_to_mount_it(self):
        made = self.write()
        self.assertEqual(made["path"], str(self.file))
        copy, place, mode = made["mount"].split(":")
        self.assertEqual((place, mode), ("/etc/docker/registry/config.yml", "ro"))
        self.assertEqual(copy, f"{self.file}.{made['digest'].removeprefix('sha256:')[:12]}")
        self.assertEqual(pathlib.Path(copy).read_bytes(), self.file.read_bytes())
        self.assertEqual(self.file.stat().st_mode & 0o777, 0o600)
        self.assertTrue(self.write(version=3)["mount"].endswith(":/etc/distribution/config.yml:ro"))
        made = self.write(owner="4321:4322")
        for file in (self.file, pathlib.Path(made["mount"].split(":")[0])):
            info = file.stat()
            self.assertEqual((info.st_uid, info.st_gid, info.st_mode & 0o777), (4321, 4322, 0o640))

    def test_the_copy_of_the_settings_before_stays_and_older_ones_go(self):
        copies = [self.write(log_level=level)["mount"].split(":")[0] for level in ("error", "warn", "info", "debug")]
        there = sorted(map(str, self.file.parent.iterdir()))
        self.assertEqual(there, sorted([str(self.file), *copies[-2:]]))
        self.assertIn('level: "info"', pathlib.Path(copies[-2]).read_text())
        pathlib.Path(copies[-1]).unlink()
        self.assertEqual(self.write(log_level="debug")["mount"].split(":")[0], copies[-1])
        self.assertTrue(pathlib.Path(copies[-1]).exists())

    def test_a_second_run_changes_nothing_and_the_digest_is_the_contents(self):
        pipeline = self.pipeline()
        self.assertIn("changed=1", self.said("run", pipeline))
        before = self.file.read_bytes()
        self.assertIn("unchanged=1", self.said("run", pipeline))
        self.assertEqual(self.file.read_bytes(), before)
        self.assertIn("up to date", self.said("plan", pipeline))
        first = self.write()
        self.assertEqual(self.write()["digest"], first["digest"])
        self.assertNotEqual(self.write(log_level="warn")["digest"], first["digest"])

    def test_its_random_secret_is_made_once_and_differs_elsewhere(self):
        def secret(file):
            return re.search(r'secret: "(.*)"', file.read_text())[1]

        self.write()
        first = secret(self.file)
        self.assertRegex(first, "^[0-9a-f]{64}$")
        self.write(log_level="debug")
        self.assertEqual(secret(self.file), first)
        other = self.folder / "other.yml"
        self.write(path_=other)
        self.assertNotEqual(secret(other), first)
        self.write(http_secret="mine")
        self.assertEqual(secret(self.file), "mine")

    def test_plan_names_each_setting_and_no_secret(self):
        self.write(proxy_remoteurl="https://registry-1.docker.io", proxy_username="me", proxy_password="hunter2")
        said = self.said("plan", self.pipeline(
            proxy_remoteurl="https://registry-1.docker.io", proxy_username="me", proxy_password="hunter3", log_level="warn",
            notifications={"ci": "https://ci.lan/hook"}, notification_headers={"Authorization": "Bearer hunter4"}))  # fmt: skip
        self.assertRegex(said, r"log\.level +info -> warn")
        self.assertRegex(said, r"proxy\.password +\(another secret\) -> \(a secret\)")
        self.assertRegex(said, r"notifications\.endpoints\[0\]\.url .*https://ci\.lan/hook")
        self.assertRegex(said, r"notifications\.endpoints\[0\]\.headers\.Authorization\[0\] .*\(a secret\)")
        self.assertNotIn("hunter", said)
        self.assertNotIn(re.search(r'  secret: "(.*)"', self.file.read_text())[1], said)

    def test_what_was_changed_by_hand_is_named_and_put_right(self):
        self.write()
        whole = self.file.read_text()
        self.file.write_text(whole.replace('"info"', '"debug"') + "surprise: hunter2\n")
        said = self.said("plan", self.pipeline())
        self.assertRegex(said, r"log\.level +debug -> info")
        self.assertRegex(said, r"surprise +\(a secret\)")
        self.write()
        self.assertEqual(self.file.read_text(), whole)
        self.file.chmod(0o644)
        self.assertIn("changed=1", self.said("run", self.pipeline()))
        self.assertEqual(self.file.stat().st_mode & 0o777, 0o600)

    def test_a_file_of_somebody_else_is_left_alone(self):
        self.file.parent.mkdir()
        self.file.write_text("version: 0.1\n")
        self.refused("was not written by this step", "move it away")
        self.assertEqual(self.file.read_text(), "version: 0.1\n")

    def test_down_removes_what_it_wrote_and_nothing_else(self):
        pipeline = self.pipeline()
        self.said("run", pipeline)
        self.said("down", pipeline)
        self.assertFalse(self.file.parent.exists())
        self.file.parent.mkdir()
        other = self.file.parent / "htpasswd"
        other.write_text("")
        self.said("run", pipeline)
        self.said("down", pipeline)
        self.assertEqual(list(self.file.parent.iterdir()), [other])
        self.said("run", pipeline)
        self.file.write_text("mine: now\n")
        self.assertIn("somebody else", self.said("down", pipeline))
        self.assertEqual(self.file.read_text(), "mine: now\n")

    def test_secrets_are_in_the_file_only(self):
        self.pipe.write("password", "hunter2\n")
        pipeline = self.pipe.write("secret.toml", f"""schema = 1
            [pipeline]
            name = "secret"
            [secrets.password]
            from = [{{ file = "{self.folder}/password" }}]
            [[step]]
            uses = "config"
            [step.with]
            path = "{self.file}"
            version = 3
            storage = "s3"
            proxy_remoteurl = "https://registry-1.docker.io"
            proxy_username = "me"
            proxy_password = "${{secrets.password}}"
            [step.with.settings]
            "storage.s3.bucket" = "b"
            "storage.s3.region" = "r"
            "storage.s3.accesskey" = "k"
            "storage.s3.secretkey" = "${{secrets.password}}"
            """)  # fmt: skip
        self.said("run", pipeline)
        self.assertEqual(self.file.read_text().count('"hunter2"'), 2)
        for path in (self.folder / "state").rglob("*"):
            if path.is_file():
                self.assertNotIn(b"hunter2", path.read_bytes(), path)

    def test_the_version_is_found_out_from_the_image(self):
        for place, version in (("/etc/docker/registry/config.yml", 2), ("/etc/distribution/config.yml", 3)):
            content = self.pipe.write("content", place)
            self.pipe.step("build", layers=[f"{content}:/x"], as_="registry:x", entrypoint=["/x", "serve"], command=[place])
            self.assertEqual(self.write(version=None, image="registry:x")["version"], version)
        self.pipe.step("build", layers=[f"{content}:/x"], as_="other:x", command=["/x"])
        self.refused("names no configuration of Distribution", version=None, image="other:x")
        self.refused("registry:y is not in the store", "pull it first", version=None, image="registry:y")
        self.refused("give `version`", version=None)

    def test_names_that_a_version_lacks_are_refused(self):
        self.refused("no setting \"http.draintimout\"", "did you mean \"http.draintimeout\"",
                     settings={"http.draintimout": "10s"})  # fmt: skip
        self.refused("since version 3", settings={"storage.tag.concurrencylimit": "8"})
        self.refused("schema 1", version=3, settings={"compatibility.schema1.enabled": "true"})
        self.assertFalse(self.file.exists())

    # What docker-registry makes of it

    def test_defaults_serve_push_and_do_not_delete(self):
        registry = self.serve()
        digest = registry.push(Image(), "app", "1")
        self.assertTrue((self.folder / "data/docker/registry/v2/repositories/app").is_dir())
        status, headers, _ = registry.request("GET", "/v2/")
        self.assertEqual((status, headers["X-Content-Type-Options"]), (200, "nosniff"))
        self.assertEqual(registry.request("DELETE", f"/v2/app/manifests/{digest}")[0], 405)
        self.assertNotIn("No HTTP secret provided", registry.log)

    def test_delete_headers_relative_urls_prefix_and_logs(self):
        registry = self.serve(delete=True, headers={"X-Test": "yes: \"no\""}, relativeurls=True, log_formatter="json",
                              log_access=False, settings={"log.fields.place": "0123"})  # fmt: skip
        digest = registry.push(Image(), "app", "1")
        self.assertEqual(registry.request("DELETE", f"/v2/app/manifests/{digest}")[0], 202)
        status, headers, _ = registry.request("POST", "/v2/app/blobs/uploads/", b"")
        self.assertEqual(headers["X-Test"], 'yes: "no"')
        self.assertTrue(headers["Location"].startswith("/v2/"), headers["Location"])
        self.assertEqual(registry.requests, [])
        lines = [json.loads(line) for line in registry.log.splitlines() if line.startswith("{")]
        self.assertTrue(any(line.get("place") == "0123" for line in lines), registry.log)

    def test_host_makes_the_urls(self):
        registry = self.serve(host="https://registry.example:8443")
        _, headers, _ = registry.request("POST", "/v2/app/blobs/uploads/", b"")
        self.assertTrue(headers["Location"].startswith("https://registry.example:8443/v2/"), headers["Location"])

    def test_readonly_takes_no_push(self):
        registry = self.serve(readonly=True)
        self.assertEqual(registry.request("POST", "/v2/app/blobs/uploads/", b"")[0], 405)

    def test_htpasswd_asks_with_its_realm(self):
        passwords = self.folder / "htpasswd"
        subprocess.run(["htpasswd", "-cbB", "-C", "5", passwords, "me", "pw"], check=True, capture_output=True)
        registry = self.serve(htpasswd=passwords, realm="the vault", login=("me", "pw"))
        self.assertEqual(registry.request("GET", "/v2/")[0], 200)
        registry.login = None
        status, headers, _ = registry.request("GET", "/v2/")
        self.assertEqual(status, 401)
        self.assertEqual(headers["WWW-Authenticate"], 'Basic realm="the vault"')

    def test_token_service_is_named_in_the_challenge(self):
        certificates = Certificates(self.folder / "certs")
        registry = self.serve(settings={"auth.token.realm": "https://auth.example/token", "auth.token.service": "registry",
                                        "auth.token.issuer": "auth", "auth.token.rootcertbundle": certificates.ca_file})  # fmt: skip
        status, headers, _ = registry.request("GET", "/v2/")
        self.assertEqual(status, 401)
        self.assertIn('Bearer realm="https://auth.example/token",service="registry"', headers["WWW-Authenticate"])

    def test_tls_minimum_and_client_certificates(self):
        certificates = Certificates(self.folder / "certs")
        registry = self.serve(ca_file=certificates.ca_file, tls_certificate=certificates.cert, tls_key=certificates.key,
                              tls_minimum="tls1.3")  # fmt: skip
        self.assertEqual(registry.request("GET", "/v2/")[0], 200)
        old = ssl.create_default_context(cafile=str(certificates.ca_file))
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        connection = http.client.HTTPSConnection("localhost", self.port, context=old, timeout=60)
        self.assertRaises(ssl.SSLError, connection.request, "GET", "/v2/")
        registry.stop()
        self.write(tls_certificate=certificates.cert, tls_key=certificates.key, tls_client_cas=[certificates.ca_file])
        registry.client_pair = certificates.client(self.folder / "client")
        registry.start()
        registry.client_pair = None
        self.assertRaises(OSError, registry.request, "GET", "/v2/")

    def test_debug_is_off_unless_asked_for(self):
        debug = free_port()
        self.refused("is open to whoever reaches", "debug_public", debug_addr=f":{debug}")
        registry = self.serve(debug_addr=f"127.0.0.1:{debug}", metrics=True)
        connection = http.client.HTTPConnection("127.0.0.1", debug, timeout=60)
        connection.request("GET", "/metrics")
        self.assertIn(b"registry_", connection.getresponse().read())
        connection.close()
        self.assertEqual(registry.request("GET", "/metrics")[0], 404)
        registry.stop()
        self.write()
        registry.start()
        self.assertRaises(ConnectionRefusedError, http.client.HTTPConnection("127.0.0.1", debug).connect)

    def impatient(self):
        """The file with health checks that do not take half a minute."""
        text = self.file.read_text()
        self.file.write_text(text.replace("threshold: 3", "threshold: 1").replace('"10s"', '"100ms"'))

    def wait_for(self, registry, status):
        deadline = time.monotonic() + 60
        while (seen := registry.request("GET", "/v2/")[0]) != status and time.monotonic() < deadline:
            time.sleep(0.1)
        self.assertEqual(seen, status)

    def test_health_checks_make_it_answer_503(self):
        alarm, closed = self.folder / "alarm", free_port()
        registry = self.serve(health_files=[alarm])
        registry.stop()
        self.impatient()
        registry.start()
        self.wait_for(registry, 200)
        alarm.touch()
        self.wait_for(registry, 503)
        registry.stop()
        for check in ({"health_tcp": [f"127.0.0.1:{closed}"]}, {"health_urls": [f"http://127.0.0.1:{closed}/"]}):
            self.write(**check)
            self.impatient()
            registry.start()
            self.wait_for(registry, 503)
            registry.stop()

    def test_notifications_arrive_with_their_headers(self):
        told = []

        class Hook(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                told.append((self.headers["Authorization"], json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                pass

        hook = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook)
        self.addCleanup(hook.server_close)
        self.addCleanup(hook.shutdown)
        threading.Thread(target=hook.serve_forever, daemon=True).start()
        registry = self.serve(notifications={"ci": f"http://127.0.0.1:{hook.server_port}/hook"},
                              notification_headers={"Authorization": "Bearer abc"})  # fmt: skip
        registry.push(Image(), "app", "1")
        deadline = time.monotonic() + 60
        while not told and time.monotonic() < deadline:
            time.sleep(0.05)
        self.assertEqual(told[0][0], "Bearer abc")
        self.assertEqual(told[0][1]["events"][0]["action"], "push")

    def test_a_pull_through_cache_with_a_password(self):
        # Version 2 logs in where tokens are handed out, as Docker Hub does; a password alone it can't give.
        with TokenServer(login=("me", "p: #w")) as tokens, FakeRegistry(token_server=tokens) as upstream:
            digest = upstream.add(Image(), "library/app", "1")
            registry = self.serve(proxy_remoteurl=upstream.url, proxy_username="me", proxy_password="p: #w")
            self.assertEqual(registry.digest("library/app", "1"), digest)
            self.assertEqual(registry.request("POST", "/v2/app/blobs/uploads/", b"")[0], 405)

    def test_caches_and_storages_that_it_takes(self):
        registry = self.serve(cache="none", purge_uploads=False)
        registry.push(Image(), "app", "1")
        registry.stop()
        self.pipe.step("config", **{**self.params(storage="inmemory"), "settings": {}})
        registry.start()
        self.assertIsNone(registry.digest("app", "1"))
        registry.push(Image(), "app", "2")

    def test_every_kind_of_setting_is_taken(self):
        registry = self.serve(
            debug_addr=f"127.0.0.1:{free_port()}", cache="inmemory", redis=["127.0.0.1:1"], redis_password="x",
            purge_age="36h", purge_interval="90m",
            settings={"storage.filesystem.maxthreads": 50, "http.draintimeout": "5s", "http.http2.disabled": "true",
                      "redis.db": 3, "redis.dialtimeout": "10ms", "redis.pool.maxidle": 4, "catalog.maxentries": 7,
                      "validation.manifests.urls.allow": "^https?://a/,^https?://b/", "http.net": "tcp",
                      "policy.repository.classes": "image", "http.debug.prometheus.path": "/numbers",
                      "notifications.events.includereferences": "true", "health.storagedriver.threshold": 2,
                      "storage.maintenance.uploadpurging.dryrun": "true", "compatibility.schema1.enabled": "false"},
        )  # fmt: skip
        registry.push(Image(), "app", "1")
        self.assertEqual(registry.request("GET", "/v2/_catalog?n=7")[0], 200)
        self.assertEqual(registry.request("GET", "/v2/_catalog?n=8")[0], 400)


if __name__ == "__main__":
    unittest.main()
