"""The Debian packages: what apt makes of them, and the programs and plugins that come out of them."""

import os
import pathlib
import re
import subprocess
import tempfile
import unittest

from compiler import call
from pipe import BUILD, Pipe


# The file system of this machine with a layer of its own on it, in a mount namespace: what is installed there is
# nowhere else, and gone when the shell ends. What somebody installed by hand is not in it. $1: an empty folder, $2:
# the packages.
MACHINE = """set -e
mkdir $1/upper $1/work $1/root
mount -t overlay overlay -o lowerdir=/,upperdir=$1/upper,workdir=$1/work $1/root
for kernel in proc dev sys; do mount --rbind /$kernel $1/root/$kernel; done
mount --bind $2 $1/root/mnt
mount -t tmpfs none $1/root/usr/local
exec chroot $1/root /bin/sh -ec "$3"
"""
INSTALL_AND_USE = """
export HOME=/root/pipe-test LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive; mkdir $HOME; cd $HOME
unset XDG_DATA_HOME XDG_STATE_HOME PIPE_PLUGIN_PATH PIPE_STORE
apt-get install -y --no-install-recommends /mnt/*.deb
dpkg --audit
command -v pipe
pipe version
pipe plugins list
pipe step shell --run 'echo installed' --output json
pipe image ls
pipe check /usr/share/pipe/pipelines/registry.toml
cp -r /usr/share/pipe/template step
cmake -S step -B build
cmake --build build
ctest --test-dir build
pipe plugins list --plugin-path build
dpkg --purge pipe pipe-dev
test ! -e /usr/bin/pipe
find /usr /etc -path '*pipe/plugins*' -o -name 'pipe-image' -o -name 'libpipe_*' | sed 's/^/left behind: /'
"""


class Packages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        call("cpack", "--config", BUILD / "CPackConfig.cmake", "-B", cls.folder / "packages", cwd=cls.folder)
        cls.files = {p.name.split("_")[0]: p for p in (cls.folder / "packages").glob("*.deb")}
        cls.root = cls.folder / "root"
        (cls.root / "var/lib/dpkg/info").mkdir(parents=True)
        (cls.root / "var/lib/dpkg/updates").mkdir()
        (cls.root / "var/lib/dpkg/status").touch()
        # Into a root of its own; whether what they depend on exists is another test's matter.
        call("dpkg", f"--root={cls.root}", "--force-depends", "--force-not-root", "--force-script-chrootless", "-i", *cls.files.values())
        cls.prefix = cls.root / "usr"
        cls.pipe = Pipe(cls.folder / "state")

    def program(self, *args):
        return call(self.prefix / "bin/pipe", *args, env=self.pipe.env, cwd=self.pipe.folder)

    def test_there_are_two(self):
        self.assertEqual(set(self.files), {"pipe", "pipe-dev"})

    def test_apt_finds_all_that_they_depend_on(self):
        said = call("apt-get", "install", "-s", "--no-install-recommends", *self.files.values())
        for name in self.files:
            self.assertRegex(said, rf"(?m)^Inst {name} ")
        for name, needed in {"pipe": ("libc6", "libcurl4", "libfmt9"), "pipe-dev": ("g++", "make", "cmake")}.items():
            depends = call("dpkg-deb", "-f", self.files[name], "Depends")
            for package in needed:
                self.assertRegex(depends, rf"(^| ){re.escape(package)}[, ]")

    @unittest.skipUnless(os.geteuid() == 0, "only root installs packages")
    def test_apt_installs_them_and_takes_them_away(self):
        layer = self.folder / "layer"
        layer.mkdir()
        said = call("unshare", "--mount", "sh", "-ec", MACHINE, "sh", layer, self.folder / "packages", INSTALL_AND_USE)
        self.assertRegex(said, r"(?m)^/usr/bin/pipe\npipe \d")
        self.assertRegex(said, r"(?m)^push ")
        self.assertIn('"stdout":"installed"', said)
        self.assertIn("registry.toml: fine", said)
        self.assertIn("100% tests passed", said)
        self.assertRegex(said, r"(?m)^my-step ")
        self.assertNotIn("left behind", said)
        self.assertFalse(pathlib.Path("/usr/bin/pipe").exists(), "it was installed on the machine itself")

    def test_the_runtime_runs(self):
        self.assertRegex(self.program("version"), r"^pipe \d")
        listed = self.program("plugins", "list")
        self.assertRegex(listed, r"(?m)^push ")
        self.assertNotIn("cannot be used", listed)
        self.assertEqual(self.program("image", "ls").strip(), f"there is no image in the store {self.pipe.store}")
        (self.pipe.folder / "p.toml").write_text('schema = 1\n[[step]]\nuses = "shell"\nwith.run = "echo packaged"\n[outputs]\nsaid = "${steps.shell.stdout}"\n')
        self.assertIn("said = packaged", self.program("run", "p.toml"))
        self.assertIn("fine", self.program("check", self.prefix / "share/pipe/pipelines/registry.toml"))

    def test_each_verb_has_a_page(self):
        verbs = re.findall(r"(?m)^  (\w+)  ", self.program("help"))
        self.assertIn("run", verbs)
        pages = self.prefix / "share/man/man1"
        for verb in verbs:
            page = (pages / f"pipe-{verb}.1").read_text()
            self.assertTrue(page.startswith(".TH"), verb)
        self.assertTrue((pages / "pipe-image-fsck.1").exists())
        self.assertIn("pipelines/registry.toml", (pages / "pipe.1").read_text().replace("\\-", "-"))

    def test_shells_find_their_completion(self):
        share = self.prefix / "share"
        call("bash", "-n", share / "bash-completion/completions/pipe")
        call("fish", "--no-execute", share / "fish/vendor_completions.d/pipe.fish")
        call("zsh", "-n", share / "zsh/vendor-completions/_pipe")

    def test_a_plugin_is_built_with_the_other(self):
        build = self.folder / "hello"
        call("cmake", "-S", self.prefix / "share/pipe/examples/hello", "-B", build, f"-DCMAKE_PREFIX_PATH={self.prefix}")
        call("cmake", "--build", build)
        found = call(self.prefix / "bin/pipe", "plugins", "list", "--plugin-path", build, env={**os.environ, **self.pipe.env})
        self.assertRegex(found, r"(?m)^hello ")

    def test_every_file_belongs_to_root(self):
        listing = subprocess.run(["dpkg-deb", "-c", self.files["pipe"]], capture_output=True, text=True, check=True).stdout
        for line in listing.splitlines():
            self.assertRegex(line.split()[1], r"^root/root$", line)


if __name__ == "__main__":
    unittest.main()
