"""Scores and features on Spark. `score(df)` and `features(df)` are for notebooks and jobs with a SparkSession."""

from open_nsfw.cluster.dataframes import features, score
from open_nsfw.cluster.options import ScoreOptions

__all__ = ["ScoreOptions", "features", "score"]
