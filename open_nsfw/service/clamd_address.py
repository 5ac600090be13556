"""--clamd ADDRESS -> a bound socket: `127.0.0.1:3310`, or the path of a Unix socket.

clamd's protocol knows no keys. So a TCP address must be the loopback's; who reaches a Unix socket is a matter of the folder
that it is in.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import stat

from open_nsfw.errors import UsageError
from open_nsfw.text import printable, whole

BACKLOG = 128  # connections that wait to be accepted
UNIX = "unix:"
MODE = 0o666  # as clamd has it: the folder says who may come to it


def bound(address: str) -> socket.socket:
    """The socket at an address. Raises UsageError."""
    path = address[len(UNIX) :] if address.startswith(UNIX) else address
    if address.startswith(UNIX) or "/" in address:
        return _unix(path)
    host, colon, port = address.rpartition(":")
    number = whole(port)
    if not colon or not host or number is None or number > 65535:
        raise UsageError(
            f"--clamd {printable(address)}: HOST:PORT or the path of a socket is needed, as 127.0.0.1:3310"
        )
    return _tcp(host.strip("[]"), number, address)


def name_of(listener: socket.socket) -> str:
    """An address as people write it."""
    found = listener.getsockname()
    if isinstance(found, str):
        return printable(found)
    host, port = found[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def remove_leftover(place: object) -> None:
    """Remove the file of a Unix socket that nobody listens on, as a killed service leaves it; nothing else."""
    if isinstance(place, str) and place and _is_dead_socket(place):
        os.unlink(place)


def _tcp(host: str, port: int, address: str) -> socket.socket:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise UsageError(f"--clamd {printable(address)}: there is no such address ({error.strerror})") from error
    if not all(ipaddress.ip_address(each[4][0]).is_loopback for each in found):
        raise UsageError(
            f"--clamd {printable(address)}: can be reached from other machines, and clamd's clients have no keys; use "
            f"127.0.0.1:{port}, or a Unix socket in a folder that both sides share"
        )
    family, kind, protocol, _, place = found[0]
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return _listening(listener, place, address)


def _unix(path: str) -> socket.socket:
    if not hasattr(socket, "AF_UNIX"):
        raise UsageError(f"--clamd {printable(path)}: there are no Unix sockets here; use 127.0.0.1:3310")
    remove_leftover(path)
    return _listening(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM), path, path)


def _listening(listener: socket.socket, place: object, address: str) -> socket.socket:
    try:
        listener.bind(place)  # type: ignore[arg-type]
        if isinstance(place, str):
            os.chmod(place, MODE)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        reason = "it is taken already" if error.errno == errno.EADDRINUSE else error.strerror or str(error)
        raise UsageError(f"--clamd {printable(address)}: cannot be listened on: {reason}") from error
    return listener


def _is_dead_socket(path: str) -> bool:
    """Whether a path is a socket that nobody listens on."""
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            return False
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(1)
            probe.connect(path)
    except ConnectionRefusedError:
        return True
    except (OSError, ValueError):
        return False
    return False
