"""A milter that fails on demand. Configuration (JSON): {"stage": "eom", "does": "die"}.

Stages are those of the protocol: connect, hello, envfrom, envrcpt, header, body, eom. What it does there: `die` (the whole
process ends), `hang`, `reject`, `tempfail`, `discard`, or a reply of its own, `"550 5.7.1 text"`.
"""

import json
import os
import pathlib
import sys
import time

import Milter

CONFIG = json.loads(pathlib.Path(sys.argv[1]).read_text())
ANSWERS = {"reject": Milter.REJECT, "tempfail": Milter.TEMPFAIL, "discard": Milter.DISCARD}


class Told(Milter.Base):
    """Does what the configuration says, at its stage."""

    def at(self, stage):
        if CONFIG.get("stage") != stage:
            return Milter.CONTINUE
        does = CONFIG["does"]
        if does == "die":
            os._exit(1)
        if does == "hang":
            time.sleep(600)
        if does in ANSWERS:
            return ANSWERS[does]
        code, enhanced, text = does.split(" ", 2)
        self.setreply(code, enhanced, text)
        return Milter.REJECT if code.startswith("5") else Milter.TEMPFAIL

    def connect(self, *args):
        return self.at("connect")

    def hello(self, *args):
        return self.at("hello")

    def envfrom(self, *args):
        return self.at("envfrom")

    def envrcpt(self, *args):
        return self.at("envrcpt")

    def header(self, *args):
        return self.at("header")

    def body(self, *args):
        return self.at("body")

    def eom(self, *args):
        return self.at("eom")


Milter.factory = Told
Milter.runmilter("told", "inet:8891@127.0.0.1", 240)
