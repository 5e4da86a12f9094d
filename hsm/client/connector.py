"""Opens transports to key services: TCP, TLS, Unix sockets."""

from collections.abc import Callable
from typing import Any

from twisted.internet.endpoints import TCP4ClientEndpoint, UNIXClientEndpoint
from twisted.internet.protocol import Factory
from twisted.protocols.tls import TLSMemoryBIOFactory

from hsm import tls
from hsm.address import Address
from hsm.client.config import HsmConfig
from hsm.client.connection import Connect, HsmConnection


def connector(reactor: Any, config: HsmConfig) -> Connect:
    """Connections on ``reactor``, each try bounded by ``connect_timeout_ms``.

    Raises OSError or ValueError when a file of the section ``tls`` cannot be used.
    """
    options: Any = None
    if config.tls is not None:
        files = tls.TlsFiles(config.tls.ca, config.tls.certificate, config.tls.key)
        options = tls.options(files)
    timeout_s = config.connect_timeout_ms / 1000

    def connect(address: Address, protocol: Callable[[], HsmConnection]) -> Any:
        endpoint: Any
        if address.path:
            endpoint = UNIXClientEndpoint(reactor, address.path, timeout=timeout_s)
        else:
            endpoint = TCP4ClientEndpoint(reactor, address.host, address.port, timeout=timeout_s)
        factory: Any = Factory.forProtocol(protocol)
        factory.noisy = False
        if address.tls:
            factory = TLSMemoryBIOFactory(options, True, factory, reactor)
        return endpoint.connect(factory)

    return connect
