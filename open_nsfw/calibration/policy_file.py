"""policy.json as `open-nsfw calibrate` writes it, and whether somebody changed it since.

A policy may be changed by hand: other thresholds, other names of bands. The file holds a checksum of its values, so that
the next calibration replaces only what it wrote itself.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import fields, replace

from open_nsfw.calibration.policy import Policy
from open_nsfw.errors import UsageError


def write_policy(policy: Policy, path: str) -> None:
    """Write the file with its checksum, whole or not at all. Raises OutputError."""
    replace(policy, checksum=checksum_of(policy)).write(path)


def checksum_of(policy: Policy) -> str:
    """SHA-256 of all values but itself, whatever the layout of the file."""
    values = {each.name: getattr(policy, each.name) for each in fields(policy) if each.name not in ("checksum", "path")}
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode("ascii")).hexdigest()


def check_replaceable(path: str) -> None:
    """Raises UsageError if there is a file at `path` that is not as `write_policy` wrote it."""
    if not os.path.lexists(path):
        return
    try:
        policy = Policy.read(path)
        why = "" if policy.checksum == checksum_of(policy) else "it was changed since calibrate wrote it"
    except UsageError:
        why = "it is no policy that calibrate wrote"
    if why:
        raise UsageError(f"{path}: {why}, so it is left as it is; choose another --output, or --overwrite it")
