"""hostquorum-aws against moto's parameter store: a cluster is founded once, and nodes are let in."""

import contextlib
import hashlib
import importlib.machinery
import importlib.util
import json
import os
import pathlib
import tempfile
import unittest
from unittest import mock

import boto3
import moto

SCRIPT = pathlib.Path(__file__).parents[1] / "terraform/modules/node/files/hostquorum-aws"


def load():
    loader = importlib.machinery.SourceFileLoader("hostquorum_aws", str(SCRIPT))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


class Cluster(unittest.TestCase):
    def setUp(self):
        folder = self.enterContext(tempfile.TemporaryDirectory())
        keys = {f"AWS_{name}": "testing" for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN")}
        self.folder = pathlib.Path(folder)
        self.enterContext(mock.patch.dict(os.environ, keys))
        self.enterContext(moto.mock_aws())
        self.aws = load()
        self.aws.PAUSE_SECONDS = 0
        self.aws.SOCKET_SECONDS = 0.1
        self.calls = []
        self.enterContext(mock.patch.object(self.aws.shutil, "chown"))
        self.enterContext(mock.patch.object(self.aws.subprocess, "run", self.run_command))
        self.enterContext(contextlib.redirect_stdout(None))

    def run_command(self, command, **_):
        self.calls.append(command)
        if "--out" in command:
            pathlib.Path(command[-1]).write_text("hqn-token\n")
        return mock.Mock(returncode=0)

    def node(self, name):
        """As if on the machine of that name, with its own disk."""
        home = self.folder / name
        for attribute, folder in (("DATA", "data"), ("RUN", "run"), ("CONFIG", "etc")):
            (home / folder).mkdir(parents=True, exist_ok=True)
            setattr(self.aws, attribute, home / folder)
        self.aws.CONFIG = home / "etc/aws.json"
        (home / "etc/hostquorum.toml").write_text(f'[admin]\nlisten = "10.0.0.{ord(name)}:7444"\n')
        key = "alias/aws/ssm"
        return self.aws.Node({"cluster": "edge", "node": name, "region": "us-east-1", "kms_key": key})

    def read(self, name, file):
        return (self.folder / name / "run" / file).read_text()

    def form(self, name):
        node = self.node(name)
        (self.aws.DATA / "hostquorumd.sock").touch()
        self.aws.form(node, ["--acme", "letsencrypt-staging"])
        (self.aws.DATA / "identity.json").touch()

    def test_a_cluster_is_founded_once(self):
        self.form("a")
        self.assertEqual(self.calls, [["hostquorum", "cluster", "init", "--acme", "letsencrypt-staging"]])
        for late in ("b", "a"):
            with self.assertRaisesRegex(SystemExit, "says that a formed this cluster"):
                self.form(late)
        self.assertEqual(len(self.calls), 1)

    def test_a_founder_whose_disk_was_lost_waits_to_be_invited(self):
        self.form("a")
        (self.folder / "a/data/identity.json").unlink()
        self.form_b_invites("a")
        self.aws.prepare(self.node("a"))
        self.assertIn("HOSTQUORUM_JOIN=10.0.0.98:7444", self.read("a", "join.env"))

    def form_b_invites(self, guest):
        self.aws.invite(self.node("b"), [guest])

    def test_an_invited_node_joins(self):
        self.form("a")
        self.aws.invite(self.node("a"), ["b"])
        self.aws.prepare(self.node("b"))
        self.assertEqual(self.read("b", "token"), "hqn-token")
        environment = self.read("b", "join.env")
        self.assertIn("HOSTQUORUM_JOIN=10.0.0.97:7444\n", environment)
        self.assertIn("HOSTQUORUM_TOKEN_FILE=", environment)

    def test_an_invitation_takes_the_place_of_an_older_one(self):
        node = self.node("a")
        self.aws.invite(node, ["b"])
        self.aws.invite(node, ["b"])
        self.assertIsNotNone(node.get("/edge/nodes/b/invitation"))

    def test_secrets_are_secure_strings(self):
        self.aws.invite(self.node("a"), ["b"])
        described = boto3.client("ssm", "us-east-1").describe_parameters()["Parameters"]
        kinds = {parameter["Name"]: parameter["Type"] for parameter in described}
        self.assertEqual(kinds, {"/edge/nodes/b/invitation": "SecureString"})

    def test_a_member_just_starts(self):
        self.aws.invite(self.node("a"), ["b"])
        node = self.node("b")
        (self.aws.DATA / "identity.json").touch()
        self.aws.prepare(node)
        self.assertFalse((self.folder / "b/run/join.env").exists())

    def test_only_the_package_that_is_meant_is_installed(self):
        package = self.folder / "package.deb"
        package.write_bytes(b"package")
        with self.assertRaisesRegex(SystemExit, "nothing was installed"):
            self.aws.install(package.as_uri(), "0" * 64)
        self.assertEqual(self.calls, [])
        self.aws.install(package.as_uri(), hashlib.sha256(b"package").hexdigest())
        self.assertEqual(self.calls[0][:2], ["apt-get", "install"])

    def test_what_is_formed_is_told(self):
        self.form("a")
        held = self.node("a").get("/edge/cluster")
        self.assertEqual(json.loads(held), {"founder": "a"})


if __name__ == "__main__":
    unittest.main()
