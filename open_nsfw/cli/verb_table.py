"""The verbs of `open-nsfw`, and the module of each in this folder."""

from __future__ import annotations

PROGRAM = "open-nsfw"


class Verb:
    """`main(argv)` of `open_nsfw.cli.<module>` does the work; it is imported when the verb is used."""

    def __init__(self, module: str, help: str) -> None:
        self.module, self.help = module, help


VERBS = {
    "build-net": Verb("build_net", "write a net as Caffe prototxt, also for training, and print what it costs"),
    "cache": Verb("cache", "list or remove the converted models that are kept for later runs"),
    "calibrate": Verb("calibrate", "choose thresholds on labelled pictures: a report and a policy"),
    "completion": Verb("completion", "print a script that makes a shell complete options"),
    "net-cost": Verb("net_cost", "tell what a Caffe net costs, layer by layer, and draw it"),
    "policy": Verb("policy", "check: do today's scores still lie as those the policy was chosen on?"),
    "quantize-ranges": Verb("quantize_ranges", "measure what the fast mode must know about a network of your own"),
    "verify": Verb("verify", "compare a way of scoring with the exact one, on your own pictures"),
}
