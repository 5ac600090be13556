"""The verbs of `open-nsfw`, and the module of each in this folder."""

from __future__ import annotations

PROGRAM = "open-nsfw"


class Verb:
    """`main(argv)` of `open_nsfw.cli.<module>` does the work; it is imported when the verb is used."""

    def __init__(self, module: str, help: str) -> None:
        self.module, self.help = module, help


VERBS = {
    "build-net": Verb("build_net", "write a network as Caffe prototxt, also for training, and print what it costs"),
    "cache": Verb("cache", "list, check or remove the converted models that are kept for later runs"),
    "calibrate": Verb("calibrate", "choose thresholds on labelled pictures, and write a report and a policy"),
    "completion": Verb("completion", "print a script that lets bash or zsh complete options"),
    "explain": Verb("explain", "show which parts of a picture make its score, as heat maps and numbers"),
    "features": Verb("features", "write blobs of a network for many pictures, as a Parquet table"),
    "fine-tune": Verb("fine_tune", "fit a network to labelled pictures, and write a report on whether it got better"),
    "net-cost": Verb("net_cost", "print what a Caffe network costs, layer by layer, and draw it"),
    "policy": Verb("policy", "check whether a policy still holds for today's scores"),
    "quantize-ranges": Verb("quantize_ranges", "prepare the fast mode for a network of your own"),
    "review": Verb("review", "let people decide about pictures, and make labels and error rates of it"),
    "serve": Verb("serve", "score pictures over HTTP"),
    "spark": Verb("spark", "score pictures, compute features and fine-tune on a Spark cluster"),
    "timeline": Verb("timeline", "write the scores of videos over time, as one HTML file"),
    "verify": Verb("verify", "compare a fast way of scoring with the exact one, on your own pictures"),
}
