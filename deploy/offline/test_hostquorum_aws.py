"""hostquorum-aws against moto's parameter store: nodes are let in, by what only they can read."""

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
        self.aws.CONFIG = self.folder / "aws.json"
        (self.folder / "hostquorum.toml").write_text('[admin]\nlisten = "10.0.0.97:7444"\n')
        self.calls = []
        self.enterContext(mock.patch.object(self.aws.subprocess, "run", self.run_command))
        self.enterContext(contextlib.redirect_stdout(None))
        self.ssm = boto3.client("ssm", "us-east-1")

    def run_command(self, command, **_):
        self.calls.append(command)
        if "--out" in command:
            pathlib.Path(command[-1]).write_text(f"token {len(self.calls)}\n")
        return mock.Mock(returncode=0)

    def node(self):
        return self.aws.Node({"cluster": "edge", "region": "us-east-1", "kms_key": "alias/aws/ssm"})

    def read(self, parameter):
        return json.loads(self.ssm.get_parameter(Name=parameter, WithDecryption=True)["Parameter"]["Value"])

    def test_an_invitation_says_whom_to_ask_and_holds_a_token_of_its_own(self):
        self.aws.invite(self.node(), ["b", "c"])
        told = {"sponsor": "10.0.0.97:7444", "token": "token 1"}
        self.assertEqual(self.read("/edge/nodes/b/invitation"), told)
        self.assertEqual(self.read("/edge/nodes/c/invitation"), told | {"token": "token 2"})
        self.assertIn("node", self.calls[0])

    def test_an_invitation_takes_the_place_of_an_older_one(self):
        self.aws.invite(self.node(), ["b"])
        self.aws.invite(self.node(), ["b"])
        self.assertEqual(self.read("/edge/nodes/b/invitation")["token"], "token 2")

    def test_two_who_invite_at_once_do_not_spoil_each_others(self):
        name = "/edge/nodes/b/invitation"
        self.assertTrue(self.node().seal(name, '{"token": "first"}'))
        self.assertFalse(self.node().seal(name, '{"token": "second"}'))
        self.assertEqual(self.read(name)["token"], "first")

    def test_invitations_are_secure_strings(self):
        self.aws.invite(self.node(), ["b"])
        described = self.ssm.describe_parameters()["Parameters"]
        kinds = {parameter["Name"]: parameter["Type"] for parameter in described}
        self.assertEqual(kinds, {"/edge/nodes/b/invitation": "SecureString"})

    def test_only_the_package_that_is_meant_is_installed(self):
        package = self.folder / "package.deb"
        package.write_bytes(b"package")
        with self.assertRaisesRegex(SystemExit, "nothing was installed"):
            self.aws.install(package.as_uri(), "0" * 64)
        self.assertEqual(self.calls, [])
        self.aws.install(package.as_uri(), hashlib.sha256(b"package").hexdigest())
        self.assertEqual(self.calls[0][:2], ["apt-get", "install"])


if __name__ == "__main__":
    unittest.main()
