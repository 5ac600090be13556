"""One half of the fast mode by itself, for throughput.py: no picture is scored twice.

python benchmarks/ingredient.py int8 LIST       the int8 network on pictures decoded in full
python benchmarks/ingredient.py reduced LIST    the float32 network on JPEG decoded at reduced size
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from open_nsfw.cores import default_jobs
from open_nsfw.scan.options import PipelineOptions
from open_nsfw.scan.pipeline import Pipeline
from open_nsfw.scoring.classifier import Classifier
from open_nsfw.scoring.int8_engine import Int8Engine
from open_nsfw.scoring.model_files import find_model_files
from open_nsfw.scoring.onnx_engine import OnnxRuntimeEngine
from open_nsfw.scoring.scorer import Models
from open_nsfw.sources.item import Item


def main(name: str, listed: str) -> None:
    """Print the score of each picture."""
    options = PipelineOptions(default_jobs(), quick=name == "reduced")
    items = (Item(path) for path in Path(listed).read_text().splitlines())
    with Pipeline(options) as pipeline:
        pipeline.start(items)
        pipeline.use(models(name))
        for rows in pipeline.rows():
            for row in rows:
                print(row.path, row.score, row.error or "")


def models(name: str) -> Models:
    """Without thresholds, no quick score is near to one."""
    files = find_model_files()
    if name == "int8":
        return Models(Classifier(Int8Engine(files, threads=1)))
    exact = Classifier(OnnxRuntimeEngine(files, threads=1))
    return Models(exact, quick=exact, thresholds=())


if __name__ == "__main__":
    main(*sys.argv[1:])
