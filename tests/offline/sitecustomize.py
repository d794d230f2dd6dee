"""Python runs this at start when its folder is on PYTHONPATH: the network is unplugged, all but this machine itself."""

import socket

LOCAL = ("127.0.0.1", "::1", "localhost", "", None)


def unplugged(host):
    return OSError(f"the network is unplugged in tests, but something asked for {host!r}")


def guard(connect):
    def guarded(self, address):
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in LOCAL:
            raise unplugged(address[0])
        return connect(self, address)

    return guarded


def guard_names(look_up):
    def guarded(host, *args, **options):
        if host not in LOCAL:
            raise unplugged(host)
        return look_up(host, *args, **options)

    return guarded


socket.socket.connect = guard(socket.socket.connect)
socket.socket.connect_ex = guard(socket.socket.connect_ex)
socket.getaddrinfo = guard_names(socket.getaddrinfo)
