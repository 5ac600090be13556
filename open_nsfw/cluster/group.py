"""The tasks of a barrier stage as a process group of torch: each computes a part of every batch, and gloo adds up what they
found."""

from __future__ import annotations

import os
import socket
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from importlib import import_module
from typing import Any

from open_nsfw.training.torch_net import load_torch

WAIT = timedelta(minutes=10)  # for the slowest task of a step; the connection to one that is lost ends at once
SIOCGIFADDR = 0x8915  # linux/sockios.h: the address of an interface
INTERFACE = "GLOO_SOCKET_IFNAME"  # what gloo reads


@contextmanager
def process_group() -> Iterator[int]:
    """The number of this task in a group of all tasks of its barrier stage, as long as the context lasts.

    Spark's own calls between tasks take a second each; there is one, and gloo does the rest.
    """
    torch = load_torch()
    context = import_module("pyspark").BarrierTaskContext.get()
    hosts = [info.address.rpartition(":")[0] for info in context.getTaskInfos()]
    rank, size = context.partitionId(), len(hosts)
    os.environ.setdefault(INTERFACE, interface_of(hosts[rank]))
    with tempfile.TemporaryDirectory() as folder:
        meeting = context.allGather(_meeting_point(hosts, folder) if rank == 0 else "")[0]
        torch.distributed.init_process_group("gloo", meeting, WAIT, world_size=size, rank=rank)
        try:
            yield rank
            torch.distributed.barrier()  # the folder of the first one is where they met
        finally:
            torch.distributed.destroy_process_group()


def _meeting_point(hosts: list[str], folder: str) -> str:
    """Where the tasks find each other: a file where all are on one machine, else a port of the first one's."""
    if len(set(hosts)) == 1:
        return f"file://{folder}/meeting"
    with socket.socket() as listener:
        listener.bind((hosts[0], 0))
        return f"tcp://{hosts[0]}:{listener.getsockname()[1]}"


def interface_of(host: str) -> str:
    """The name of the network interface that has a host's address; the loopback's where none has."""
    try:
        wanted = socket.gethostbyname(host)
    except OSError:
        wanted = "127.0.0.1"
    names = [name for _, name in socket.if_nameindex()]
    found = [name for name in names if _address(name) == wanted]
    loopback = [name for name in names if _address(name).startswith("127.")]
    return (found or loopback or names)[0]


def _address(interface: str) -> str:
    import fcntl

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        try:
            answer = fcntl.ioctl(any_socket.fileno(), SIOCGIFADDR, struct.pack("256s", interface.encode()[:15]))
        except OSError:  # it has none
            return ""
    return socket.inet_ntoa(answer[20:24])


def alike(torch: Any, text: str) -> bool:
    """Whether all tasks have the same text."""
    found = [""] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(found, text)
    return len(set(found)) == 1


def summed(torch: Any, tensor: Any) -> Any:
    """The sum of a tensor over all tasks, the same bits in each."""
    on_cpu = tensor.detach().cpu().contiguous()
    torch.distributed.all_reduce(on_cpu)
    return on_cpu.to(tensor.device)
