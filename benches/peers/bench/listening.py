"""Where processes listen, as the kernel says: servers that are measured here must not be reachable from elsewhere."""

import ipaddress
import os
from pathlib import Path

LISTEN = "0A"


def beyond_loopback(pids: list[int]) -> list[str]:
    """The addresses other than loopback ones at which one of these processes listens for TCP."""
    theirs = set().union(*map(sockets, pids))
    found = set()
    for file in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{file}").read_text().splitlines()[1:]:
            fields = line.split()
            address, port = fields[1].split(":")
            if fields[3] == LISTEN and fields[9] in theirs and not is_loopback(parsed(address)):
                found.add(f"{parsed(address)}, port {int(port, 16)}")
    return sorted(found)


def is_loopback(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Whether only this machine reaches it."""
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def parsed(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """An address as the kernel writes it: words of four bytes as the machine has them in memory."""
    words = bytes.fromhex(text)
    return ipaddress.ip_address(b"".join(words[at : at + 4][::-1] for at in range(0, len(words), 4)))


def sockets(pid: int) -> set[str]:
    """The inodes of a process's sockets; none if it has ended."""
    found = set()
    try:
        for entry in os.scandir(f"/proc/{pid}/fd"):
            try:
                target = os.readlink(entry.path)
            except OSError:
                continue
            if target.startswith("socket:["):
                found.add(target[len("socket:[") : -1])
    except OSError:
        pass
    return found
