"""Which pictures people are asked for, with which probability, and in which order.

Every picture has a permanent random number between 0 and 1, a hash of its content (of its name where nobody hashed it). It
is asked for if the number is below its probability, so the same picture is always or never in a sample of one size, and a
larger sample holds the smaller one (Ohlsson, Coordination of samples using permanent random numbers, 1995):

    undecided    every picture that the policy leaves to people
    audit        a share of those that were decided automatically, on both sides
    calibration  about as many from each stratum of the score; one with few pictures gives all of them

The probability is stored with the picture, and it never falls: one that was asked for stays so.
"""

from __future__ import annotations

import sqlite3
from hashlib import blake2b

import numpy as np

from open_nsfw.calibration.sample import Floats, Ints
from open_nsfw.review.design import Design
from open_nsfw.review.store import set_setting
from open_nsfw.rows.finished import key_of
from open_nsfw.rows.row import Row

UNDECIDED, AUDIT, CALIBRATION = "undecided", "audit", "calibration"
QUEUES = (UNDECIDED, AUDIT, CALIBRATION)
# Between the strata of the score: narrow at both ends, where most pictures of real traffic are.
STRATA = (0.01, 0.05, 0.1, 0.2, 0.5, 0.8, 0.9, 0.95, 0.99)
_NUMBER_BYTES = 7  # 56 bits, of which a float64 keeps 53


def number_of(row: Row) -> float:
    """The permanent random number of a picture: at least 0, below 1."""
    return _hashed(b"asked", row.sha256, row.path, row.member)


def wants_second(sha256: str | None, path: str, member: str | None, design: Design) -> bool:
    """Whether the picture gets a second opinion; of another hash than whether it is asked for."""
    return _hashed(b"second", sha256, path, member) < design.second


def _hashed(purpose: bytes, sha256: str | None, path: str, member: str | None) -> float:
    key = bytes.fromhex(sha256) if sha256 else key_of(path, member)
    digest = blake2b(key, digest_size=_NUMBER_BYTES, person=purpose).digest()
    return (int.from_bytes(digest, "big") >> 3) / 2.0**53


def choose(connection: sqlite3.Connection, design: Design) -> None:
    """Give every item of the store its band, its probability, its queue and its place in the order of asking."""
    rows = connection.execute("SELECT id, score, number, probability, queue FROM item ORDER BY id").fetchall()
    if rows:
        ids = np.array([row[0] for row in rows])
        scores, numbers, before = (np.array([row[at] for row in rows], np.float64) for at in (1, 2, 3))
        queues = np.array([QUEUES.index(row[4]) if row[4] else -1 for row in rows])
        bands = bands_of(design, scores)
        probability, queue = probabilities(design, scores, before, queues)
        asked = numbers < probability
        place = np.zeros(len(rows))
        for each in range(len(QUEUES)):
            members = np.flatnonzero(asked & (queue == each))
            place[members] = _places(each, scores[members], numbers[members], probability[members], design)
        values = zip(
            bands.tolist(),
            [QUEUES[each] if each >= 0 else "" for each in queue.tolist()],
            *(column.tolist() for column in (probability, asked.astype(int), place, ids)),
        )
        connection.executemany(
            "UPDATE item SET band = ?, queue = ?, probability = ?, asked = ?, place = ? WHERE id = ?", values
        )
    _choose_second(connection, design)
    set_setting(connection, "chosen", "yes")


def probabilities(design: Design, scores: Floats, before: Floats, queues: Ints) -> tuple[Floats, Ints]:
    """(of being asked for, float64 (N,); the queue that gives it, int64 (N,): index into `QUEUES`, or -1). `before` and
    `queues`, alike, are those of earlier runs: zeros and -1 where there were none."""
    probability, queue = before.copy(), queues.copy()
    bands = bands_of(design, scores)
    offers = [np.zeros(len(scores)) for _ in QUEUES]
    offers[0][np.isin(bands, list(design.undecided))] = 1.0
    offers[1][bands == 0] = design.audit_low
    offers[1][bands == len(design.policy.bands) - 1] = design.audit_high
    strata = np.searchsorted(STRATA, scores, side="right")
    sizes = np.bincount(strata, minlength=len(STRATA) + 1)
    offers[2][:] = np.minimum(1.0, design.calibration / (len(STRATA) + 1) / np.maximum(sizes, 1))[strata]
    for each, offer in enumerate(offers):
        higher = offer > probability
        probability[higher], queue[higher] = offer[higher], each
    return probability, queue


def bands_of(design: Design, scores: Floats) -> Ints:
    """int64 (N,): the number of the policy's band that each score falls into; a score on a threshold into that above."""
    bands: Ints = np.searchsorted(design.policy.thresholds, scores, side="right")
    return bands


def _places(queue: int, scores: Floats, numbers: Floats, probability: Floats, design: Design) -> Floats:
    """Where each picture of a queue comes, between 0 and 1: of each queue, the same part is done at any time. The undecided
    ones come by their distance to a threshold; of the others, every beginning is a random sample itself."""
    if queue == 0:
        key = np.abs(scores[:, None] - np.array(design.policy.thresholds)[None]).min(1)
    else:
        key = numbers / probability
    place = np.empty(len(scores))
    place[np.argsort(key, kind="stable")] = (np.arange(len(scores)) + 0.5) / max(len(scores), 1)
    return place


def _choose_second(connection: sqlite3.Connection, design: Design) -> None:
    """Who was to get a second opinion keeps it."""
    connection.create_function(
        "wants_second", 3, lambda sha256, path, member: wants_second(sha256, path, member or None, design)
    )
    connection.execute(
        "UPDATE item SET wanted = 2 WHERE asked = 1 AND wanted = 1 AND wants_second(sha256, path, member)"
    )
