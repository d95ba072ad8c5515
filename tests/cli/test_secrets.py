"""Secrets are nowhere: not in output, journals, state, arguments, environments, or other steps."""

import base64
import pathlib
import time
import unittest
import urllib.parse

from cli_case import CliCase

SECRET = 'hunter2000/pass "word"'
FORMS = [SECRET, base64.b64encode(SECRET.encode()).decode(), urllib.parse.quote(SECRET, safe="")]


class Secrets(CliCase):
    def setUp(self):
        super().setUp()
        self.env = {"MY_SECRET": SECRET, "UNRELATED": "not-for-steps"}
        self.head = '[secrets.pw]\nfrom = [{ env = "MY_SECRET" }]\n'
        self.teller = (
            '[[step]]\nid = "teller"\nuses = "echo"\nwith.text = "x"\nwith.secret = "${secrets.pw}"\nwith.tell = true\n'
        )

    def assert_clean(self, text, where):
        for form in FORMS:
            self.assertNotIn(form, text, where)

    def assert_nothing_kept(self):
        for path in self.folder.rglob("*"):
            if path.is_file() and path.suffix != ".toml":
                self.assert_clean(path.read_text(errors="replace"), path)

    def test_in_no_output_journal_log_or_state(self):
        path = self.pipeline(
            self.teller
            + f'[[step]]\nid = "next"\nuses = "echo"\nwith.text = "${{steps.teller.text}}"\nwith.file = "{self.folder}/x/y"\n'
            + '[outputs]\ntold = "${steps.teller.text}"\n',
            head=self.head,
        )
        for mode in ("plain", "json", "terminal", "github", "gitlab"):
            result = self.pipe.run(["run", path, "--output", mode], env=self.env)
            self.assert_code(result, 0)
            self.assert_clean(result.out + result.err, mode)
            self.assertIn("***", result.out + result.err)
        self.assert_nothing_kept()

    def test_not_in_github_output(self):
        path = self.pipeline(self.teller + '[outputs]\ntold = "${steps.teller.text}"\n', head=self.head)
        github = self.folder / "github"
        self.assert_code(self.pipe.run(["run", path], env={**self.env, "GITHUB_OUTPUT": github}), 0)
        self.assertIn("was ***", github.read_text())
        self.assert_nothing_kept()

    def test_a_step_still_gets_the_real_value_from_another(self):
        out = self.folder / "out.toml"
        path = self.pipeline(
            self.teller + f'[[step]]\nuses = "echo"\nwith.text = "${{steps.teller.text}}"\nwith.file = "{out}"\n',
            head=self.head,
        )
        self.assert_code(self.pipe.run(["run", path], env=self.env), 0)
        self.assertEqual(out.read_text(), "was " + SECRET)

    def test_not_in_the_environment_of_steps(self):
        for how in ("environment", "raw-memory"):
            path = self.pipeline(
                self.teller
                + f'[[step]]\nid = "look"\nuses = "misbehave"\nwith.how = "{how}"\n'
                + f'[[step]]\nuses = "echo"\nwith.text = "${{steps.look.text}}"\nwith.file = "{self.folder}/{how}.seen"\n',
                head=self.head,
            )
            # A name that steps would get otherwise: PIPE_ and DOCKER_ are passed on.
            for name in ("MY_SECRET", "PIPE_SECRET"):
                env = {"UNRELATED": "not-for-steps", name: SECRET}
                path.write_text(path.read_text().replace("MY_SECRET", name))
                self.assert_code(self.pipe.run(["run", path], env=env), 0)
                seen = (self.folder / f"{how}.seen").read_text()
                self.assert_clean(seen, how)
                self.assertNotIn("not-for-steps", seen)
            self.assertIn("PATH=", (self.folder / "environment.seen").read_text())

    def test_not_in_the_process_list_nor_in_the_zygotes_environment(self):
        path = self.pipeline(
            self.teller + self.scripted("wait", wait='"60s"'), head=self.head
        )
        process = self.pipe.start(["run", path], env=self.env)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        self.wait_for_note("begin wait")
        seen = 0
        for proc in pathlib.Path("/proc").iterdir():
            try:
                if not proc.name.isdigit() or "pipe" not in (proc / "comm").read_text():
                    continue
                self.assert_clean((proc / "cmdline").read_text(errors="replace"), proc)
                if (proc / "comm").read_text().strip() in ("pipe-zygote", "pipe-step"):
                    # Other tests run at the same time: only what this one started is meant.
                    self.assert_clean((proc / "environ").read_text(errors="replace"), proc)
                    seen += 1
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue
        self.assertGreaterEqual(seen, 2)

    def test_a_missing_secret_is_named_and_not_shown(self):
        path = self.pipeline(self.teller, head=self.head)
        result = self.pipe.run(["run", path], env={"MY_SECRET": None})
        self.assert_code(result, 3)
        self.assertIn("pw", result.err)

    def test_short_and_empty_secrets_are_told_of(self):
        path = self.pipeline(self.teller, head=self.head)
        result = self.pipe.run(["run", path], env={"MY_SECRET": "abc"})
        self.assertIn("warning: a secret is shorter than 4 characters", result.err)
        self.assertIn("the secret is abc", result.err)

    def test_user_and_password_of_a_url_are_masked(self):
        result = self.pipe.run(["step", "echo", "--text", "https://me:pw12345@host/v2/"])
        self.assertIn("https://***@host/v2/", result.out)

    def test_a_commands_own_pipes_break_in_silence(self):
        path = self.pipeline(
            '[secrets.pw]\nfrom = [{ command = ["sh", "-c", "yes s3cr3t-t0ken | head -n 1"] }]\n'
            '[[step]]\nuses = "echo"\nwith.text = "x"\nwith.secret = "${secrets.pw}"\n'
        )
        result = self.pipe.run(["run", path])
        self.assert_code(result, 0)
        self.assertNotIn("Broken pipe", result.err)

    def test_a_command_that_does_not_end_is_given_up(self):
        for script in "exec sleep 30", "exec >&-; exec sleep 30":
            path = self.pipeline(
                f'[secrets.pw]\nfrom = [{{ command = ["sh", "-c", "{script}"] }}]\n'
                '[[step]]\nuses = "echo"\nwith.text = "x"\nwith.secret = "${secrets.pw}"\n'
            )
            begin = time.monotonic()
            result = self.pipe.run(["run", path], env={"PIPE_SECRET_SECONDS": 1})
            self.assert_code(result, 3)
            self.assert_says(result.err, "secret `pw` cannot be read from the command `sh`: it has not ended after 1 s")
            self.assertLess(time.monotonic() - begin, 20)


if __name__ == "__main__":
    unittest.main()
