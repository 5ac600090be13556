"""Which container a film is in, by its first bytes, whatever its name says. Standard library only: this is on the way of
every run.

A container is called by the name of FFmpeg's reader (demuxer) for it. FFmpeg has about 350 of them; some read no film but
a list of other files or addresses (playlists, image sequences, session descriptions). Only those in `CONTAINERS` are ever
asked, each for what its own magic bytes stand before.
"""

from __future__ import annotations

from open_nsfw.pictures.formats import sniff

HEAD = 4096  # first bytes of a file that are looked at; 20 packets of a transport stream

CONTAINERS = {
    "mov": "MP4, QuickTime, 3GP",
    "matroska": "Matroska, WebM",
    "avi": "AVI",
    "asf": "ASF, WMV",
    "flv": "Flash video",
    "ogg": "Ogg",
    "mpegts": "MPEG transport streams, AVCHD, Blu-ray",
    "mpeg": "MPEG program streams, DVD",
    "mpegvideo": "MPEG-1 and MPEG-2 video without a container",
    "m4v": "MPEG-4 video without a container",
    "h264": "H.264 without a container",
    "hevc": "H.265 without a container",
    "obu": "AV1 without a container",
    "ivf": "IVF",
    "dv": "DV",
    "mxf": "MXF",
    "gxf": "GXF",
    "nut": "NUT",
    "rm": "RealMedia",
    "wtv": "Windows recorded TV",
    "yuv4mpegpipe": "YUV4MPEG",
}

_MAGIC = (
    (b"\x1aE\xdf\xa3", "matroska"),
    (b"FLV\x01", "flv"),
    (b"OggS\0", "ogg"),
    (b"0&\xb2u\x8ef\xcf\x11", "asf"),
    (b"\x06\x0e+4\x02\x05\x01\x01\r\x01\x02\x01\x01\x02", "mxf"),
    (b"nut/multimedia container\0", "nut"),
    (b"DKIF\0\0", "ivf"),
    (b".RMF\0\0", "rm"),
    (b"YUV4MPEG2 ", "yuv4mpegpipe"),
    (b"\xb7\xd8\x00 7I\xda\x11\xa6N\x00\x07\xe9^\xad\x8d", "wtv"),
    (b"\x00\x00\x00\x00\x01\xbc", "gxf"),
    (b"\x00\x00\x01\xba", "mpeg"),
    (b"\x00\x00\x01\xb3", "mpegvideo"),  # sequence header
    (b"\x00\x00\x01\xb0", "m4v"),  # visual object sequence
    (b"\x12\x00\x0a", "obu"),  # temporal delimiter, then a sequence header
    *((b"\x00\x00\x00\x01" + unit, "h264") for unit in (b"\x67", b"\x27", b"\x47", b"\x09\x10", b"\x09\xf0")),
    *((b"\x00\x00\x01" + unit, "h264") for unit in (b"\x67", b"\x27", b"\x47")),
    *(
        (start + unit, "hevc")
        for start in (b"\x00\x00\x00\x01", b"\x00\x00\x01")
        for unit in (b"\x40\x01", b"\x46\x01")
    ),
)
_RIFF_KINDS = (b"AVI ", b"AVIX", b"AVI\x19", b"AMV ")

# Atoms that a film may begin with; `mdat` comes first where a camera writes the index last.
_ATOMS = (
    *(b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"uuid", b"pnot", b"pict", b"PICT", b"styp", b"sidx"),
    *(b"moof", b"emsg", b"prft", b"meta", b"junk"),
)
_LARGE = 0x20202020  # bytes; as a size, four printable letters are this much or more, and only `mdat` is ever so large
_OTHER_BRANDS = (b"crx ", b"jp2 ", b"jpx ", b"jpm ", b"jxl ")  # Canon's raw pictures, JPEG 2000, JPEG XL

_SYNC = 0x47  # the first byte of every packet of a transport stream
_TS_PACKETS = (188, 192, 204)  # bytes; with a time stamp before them (AVCHD), with error correction after them
_FEWEST_PACKETS = 3

_START = b"\x00\x00\x01"  # begins every packet of a program stream; its kind and its length follow
_PACK = 0xBA  # the kind that begins a pack, without a length
_PACKETS = frozenset({0xBB, *range(0xBD, 0xF0)})  # kinds: system header, private data, padding, sound, video
_SHORTEST = 8  # bytes of a packet


def container_of(head: bytes) -> str | None:
    """The container whose film begins with `head` (`HEAD` bytes of it, where there are so many): a key of `CONTAINERS`,
    None if it is none of them or a picture."""
    head = head[:HEAD]
    if sniff(head) is not None:
        return None
    for magic, name in _MAGIC:
        if head.startswith(magic):
            return name
    if head.startswith(b"RIFF") and head[8:12] in _RIFF_KINDS:
        return "avi"
    if _is_dv(head):
        return "dv"
    if _begins_with_atoms(head):
        return "mov"
    if is_transport_stream(head):
        return "mpegts"
    return "mpeg" if _is_program_stream(head) else None


def _is_dv(head: bytes) -> bool:
    """The first two blocks of a DV frame, of 80 bytes each: a header, and the first of subcode."""
    return head[:3] == b"\x1f\x07\x00" and len(head) > 80 and head[3] & 0x7F == 0x3F and head[80] & 0xF0 == 0x30


def _begins_with_atoms(head: bytes) -> bool:
    """Whether these are QuickTime's atoms: size and type, one after the other, as far as they can be seen."""
    if head[4:8] == b"ftyp":
        return head[8:12] not in _OTHER_BRANDS
    at = 0
    while at + 8 <= len(head):
        size, kind = int.from_bytes(head[at : at + 4], "big"), head[at + 4 : at + 8]
        if kind not in _ATOMS:
            return False
        if size == 1:
            size = int.from_bytes(head[at + 8 : at + 16], "big")
        if size == 0:  # up to the end of the file
            return True
        if size < 8 or (size >= _LARGE and kind != b"mdat"):
            return False
        at += size
    return at > 0


def is_transport_stream(head: bytes) -> bool:
    """Whether packets of a transport stream stand in a row, the first of which may have lost its beginning."""
    for size in _TS_PACKETS:
        for first in range(min(size, len(head))):
            marks = head[first::size]
            if len(marks) >= _FEWEST_PACKETS and marks.count(_SYNC) == len(marks):
                return True
    return False


def _is_program_stream(head: bytes) -> bool:
    """Whether a program stream goes on here whose first packet has lost its beginning: a packet, and wherever one's length
    says that it ends, the next."""
    at = head.find(_START)
    while at >= 0:
        following = _next_packet(head, at)
        if following and head[following : following + 4] == _START + bytes([_PACK]):
            return True
        if following and _next_packet(head, following):
            return True
        at = head.find(_START, at + 1)
    return False


def _next_packet(head: bytes, at: int) -> int:
    """Where the packet ends that begins at `at`; 0 if none begins there."""
    if head[at : at + 3] != _START or at + 6 > len(head) or head[at + 3] not in _PACKETS:
        return 0
    length = int.from_bytes(head[at + 4 : at + 6], "big")
    return at + 6 + length if length >= _SHORTEST else 0
