"""Damaged and random archives and lists: the suite of tests/tools/fuzz_archives.py, with few examples."""

from __future__ import annotations

from tests.tools.fuzz_archives import (  # noqa: F401  collected from here, so that the suite runs them
    test_cut_and_spliced,
    test_flipped_bytes,
    test_nul_lists_round_trip,
    test_random_bytes_named_like_archives,
    test_tar_of_any_headers,
    test_what_was_packed_comes_out,
)
