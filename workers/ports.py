"""Where the processes of one `./dev up` listen, and whether they can."""

import contextlib
import socket

import msgspec

from adapters.embedded import LOOPBACK, free_port
from workers.processes import PROCESSES, WEB, Process


class PortTaken(Exception):
    """Somebody else listens where a process of ours should; the message says what to do."""


class Ports(msgspec.Struct, frozen=True):
    """Where the processes listen, by the name of their setting."""

    port: int
    internal_port: int
    edge_port: int
    web_port: int | None
    """None for no dashboard."""

    @property
    def processes(self) -> tuple[Process, ...]:
        """What is started."""
        return PROCESSES if self.web_port is None else (*PROCESSES, WEB)

    def url(self, setting: str) -> str:
        """The address of the process with this port."""
        return f"http://{LOOPBACK}:{getattr(self, setting)}"


def check_ports(ports: Ports) -> None:
    """Raise PortTaken unless all are free, and different."""
    with contextlib.ExitStack() as held:
        for process in ports.processes:
            if process.port_setting is None:
                continue
            port = getattr(ports, process.port_setting)
            probe = held.enter_context(socket.socket())
            # As the servers do: a connection that is still closing is no listener.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
                probe.listen()
            except OSError as error:
                option = f"--{process.port_setting.replace('_', '-')}"
                raise PortTaken(
                    f"Port {port}, which {process.name} needs, cannot be used "
                    f"({error.strerror}). Choose another: ./dev up {option} {free_port()}"
                ) from None
