"""Certificates of registries and of clients: Docker's and Podman's certs.d folders, and the parameters."""

import shutil
import unittest

from registries import Answer, Certificates, FakeRegistry, Image, Registry, Scripted
from steps import StepTest


class CertificateTest(StepTest):
    def certs_d(self, registry, kind="containers"):
        """The user's folder for that registry."""
        folder = self.folder / f"home/.config/{kind}/certs.d" / registry.address
        folder.mkdir(parents=True, exist_ok=True)
        return folder


class AuthorityTest(CertificateTest):
    @classmethod
    def setUpClass(cls):
        cls.registry = Registry(tls=True).start()
        cls.addClassCleanup(cls.registry.__exit__)
        cls.image = Image()
        cls.registry.push(cls.image, "app", "1")
        cls.name = f"{cls.registry.address}/app:1"

    def test_without_it_the_certificate_is_refused(self):
        self.failure("pull", "can't be trusted", image=self.name)

    def test_of_other_names_says_that(self):
        name = f"other.localhost:{self.registry.port}/app:1"
        self.failure("pull", "can't be trusted", "it is for other names", image=name, ca_file=self.registry.ca_file)

    def test_podmans_folder_is_read(self):
        shutil.copy(self.registry.ca_file, self.certs_d(self.registry) / "ca.crt")
        self.assertEqual(self.step("pull", image=self.name)["digest"], self.image.digest)

    def test_dockers_folder_is_read(self):
        shutil.copy(self.registry.ca_file, self.certs_d(self.registry, "docker") / "ca.crt")
        self.assertEqual(self.step("pull", image=self.name)["digest"], self.image.digest)
        self.step("push", image=self.name, to=f"{self.registry.address}/copy:1")
        self.step("verify", image=f"{self.registry.address}/copy:1")

    def test_several_are_trusted_together_and_with_ca_file(self):
        shutil.copy(Certificates(self.folder / "strange").ca_file, self.certs_d(self.registry) / "a.crt")
        self.failure("pull", "can't be trusted", image=self.name)
        self.step("pull", image=self.name, ca_file=self.registry.ca_file)
        shutil.copy(self.registry.ca_file, self.certs_d(self.registry) / "z.crt")
        self.step("pull", image=self.name, policy="always")

    def test_of_another_registry_it_does_not_help(self):
        folder = self.certs_d(self.registry)
        shutil.copy(self.registry.ca_file, folder / "ca.crt")
        folder.rename(folder.with_name("localhost:1"))
        self.failure("pull", "can't be trusted", image=self.name)

    def test_a_file_without_a_certificate_is_named(self):
        (self.certs_d(self.registry) / "a.crt").write_text("not PEM")
        self.failure("pull", r"a\.crt holds no certificate in PEM format", "can't be trusted", image=self.name)
        self.failure("pull", r"can't use the CA file \S*a\.crt: it holds no certificate", image=self.name,
                     ca_file=self.certs_d(self.registry) / "a.crt")  # fmt: skip


class ClientCertificateTest(CertificateTest):
    @classmethod
    def setUpClass(cls):
        cls.registry = Registry(tls=True, client_certs=True).start()
        cls.addClassCleanup(cls.registry.__exit__)
        cls.image = Image()
        cls.registry.push(cls.image, "app", "1")
        cls.name = f"{cls.registry.address}/app:1"

    def setUp(self):
        super().setUp()
        self.certs = self.certs_d(self.registry)
        shutil.copy(self.registry.ca_file, self.certs / "ca.crt")

    def test_the_folders_pair_opens_the_door(self):
        self.registry.certificates.client(self.certs)
        self.assertEqual(self.step("pull", image=self.name)["digest"], self.image.digest)
        self.step("push", image=self.name, to=f"{self.registry.address}/copy:1")
        self.step("verify", image=f"{self.registry.address}/copy:1", checks=["api", "content", "canary"])

    def test_parameters_come_first(self):
        cert, key = self.registry.certificates.client(self.folder / "mine")
        Certificates(self.folder / "strange").client(self.certs, "a")
        self.step("pull", image=self.name, client_cert=cert, client_key=key)

    def test_key_and_certificate_may_be_one_file(self):
        cert, key = self.registry.certificates.client(self.folder / "mine")
        cert.write_text(cert.read_text() + key.read_text())
        self.step("pull", image=self.name, client_cert=cert)

    def test_without_one_it_is_asked_for_and_not_again_and_again(self):
        self.failure("pull", "wants a client certificate, and there is none for it", "client_cert", image=self.name)
        self.failure("verify", "certs.d", registry=self.registry.address)

    def test_one_of_a_strange_ca_is_refused(self):
        cert, _ = Certificates(self.folder / "strange").client(self.certs)
        self.failure("pull", f"does not take the client certificate {cert}", image=self.name)

    def test_a_key_that_does_not_fit_is_named(self):
        self.registry.certificates.client(self.certs)
        self.registry.certificates.client(self.certs, "other")[1].rename(self.certs / "client.key")
        (self.certs / "other.cert").unlink()
        self.failure("pull", f"can't use the client certificate {self.certs}/client.cert with the key "
                             f"{self.certs}/client.key", image=self.name)  # fmt: skip

    def test_a_key_with_a_passphrase_does_not_ask_for_it(self):
        cert, key = self.registry.certificates.client(self.certs)
        self.registry.certificates.openssl("ec", "-in", key, "-aes128", "-passout", "pass:x", "-out", f"{key}.new")
        key.with_suffix(".key.new").rename(key)
        self.failure("pull", "without a passphrase", image=self.name)

    def test_half_a_pair_is_named(self):
        _, key = self.registry.certificates.client(self.certs)
        key.unlink()
        self.failure("pull", r"client\.cert has no key client\.key beside it", r"NAME\.crt", image=self.name)

    def test_a_key_alone_is_an_error(self):
        cert, key = self.registry.certificates.client(self.folder / "mine")
        self.failure("pull", "client_key is given without client_cert", image=self.name, client_key=key)


class OtherHostTest(CertificateTest):
    def test_no_other_host_sees_the_client_certificate(self):
        certificates, image = Certificates(self.folder), Image()
        with (
            Scripted(lambda r: Answer(200, image.blobs[r.path[1:]]), certificates, host="127.0.0.2", bind="127.0.0.2") as cdn,
            FakeRegistry(certificates=certificates) as registry,
        ):
            registry.add(image, "app", "1")
            registry.fault = lambda r: "/blobs/" in r.path and Answer(
                307, headers={"Location": f"{cdn.url}/{r.path.rpartition('/')[2]}"}
            )
            certificates.client(self.certs_d(registry))
            self.step("pull", image=f"{registry.address}/app:1", ca_file=certificates.ca_file)
            self.assertEqual(set(registry.clients), {"client"})
            self.assertEqual(set(cdn.clients), {None})


if __name__ == "__main__":
    unittest.main()
