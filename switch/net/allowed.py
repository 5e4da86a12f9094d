"""Who may connect: address ranges (CIDR), and connections at once of one address (I11)."""

from collections import Counter
from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network


class AllowList:
    """Address ranges. An address outside all of them, or one that is none, is not allowed.

    >>> list = AllowList(["10.1.0.0/16", "192.168.7.9"])
    >>> list.allows("10.1.2.3"), list.allows("10.2.2.3"), list.allows("::ffff:10.1.2.3")
    (True, False, True)
    """

    def __init__(self, ranges: Iterable[str]) -> None:
        """Raises ValueError for a text that is no range."""
        self._networks: tuple[IPv4Network | IPv6Network, ...] = tuple(
            ip_network(text) for text in ranges
        )

    def allows(self, address: str) -> bool:
        """Whether a peer with this address may connect. IPv4 inside IPv6 counts as IPv4."""
        try:
            read = ip_address(address)
        except ValueError:
            return False
        mapped = getattr(read, "ipv4_mapped", None)
        read = mapped if mapped is not None else read
        return any(read in network for network in self._networks if network.version == read.version)


class PeerCounts:
    """How much of something each peer holds at once, with a limit for each."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held: Counter[str] = Counter()

    def take(self, peer: str) -> bool:
        """False: this peer holds its limit already, and nothing was taken."""
        if self._held[peer] >= self._limit:
            return False
        self._held[peer] += 1
        return True

    def give_back(self, peer: str) -> None:
        """One that was taken is free again."""
        self._held[peer] -= 1
        if self._held[peer] <= 0:
            del self._held[peer]
