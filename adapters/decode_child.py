"""`python -m adapters.decode_child`: a fork server; each file is decoded in a process of its own.

Started by `adapters/decode_sandbox.py` with a socket as standard input. The server loads the
decoders once, reads no untrusted byte, and forks for every socket that it is handed: 3 ms, where
a fresh interpreter takes 300. A fork of its own has FFmpeg and PDFium loaded too and does the same
for films and documents: 500 mapped pieces of libraries more, which would double what each fork
costs.
"""

import gc
import importlib
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from mmap import ACCESS_READ, mmap

import msgspec

from adapters import decode_jail, decode_memory
from adapters.decode_orders import Report
from adapters.decode_verdict import (
    FRAME_LENGTH_BYTES,
    HEAVY,
    MAX_QUESTION_BYTES,
    STATUS_BYTES,
    Greeting,
    Question,
    Refusal,
    Verdict,
    frame,
)

Work = Callable[[mmap | bytes, Question], tuple[msgspec.Struct, Sequence[bytes]]]
"""What a child does with a file: the answer, and the bytes that follow it."""

QUESTIONS = msgspec.msgpack.Decoder(Question)
"""Made before the fork."""
FILE = 3
"""The child's descriptor of the file, which it can read from and not write to."""
HEAVY_SERVER = "decode-heavy"
READY = b"ready"
MAX_TROUBLE_BYTES = 4096
CHILD_BUG = 70
"""Exit status of a child whose own code failed."""


def main() -> None:
    """Load the decoders, say so, then serve until the parent is gone."""
    parent = os.getppid()
    control = socket.socket(fileno=0)
    try:
        decode_jail.die_with_parent(parent)
        work = _load()
        heavy = _serve_heavy(work)
    except Exception as error:  # noqa: BLE001 - the parent is to tell, whatever it is
        control.sendall(frame(Greeting(trouble=f"{type(error).__name__}: {error}")))
        sys.exit(1)
    control.sendall(frame(Greeting()))
    while _serve(control, work, heavy):
        pass


def _serve_heavy(work: Work) -> socket.socket:
    """Fork the heavy server, and wait until its libraries are loaded. Raises ImportError."""
    ours, theirs = socket.socketpair()
    server = os.getpid()
    if os.fork() == 0:
        try:
            ours.close()
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            decode_jail.die_with_parent(server)
            decode_jail.be_called(HEAVY_SERVER)
            trouble = _load_heavy()
            theirs.sendall(trouble.encode() or READY)
            while not trouble and _serve(theirs, work, None):
                pass
        finally:
            os._exit(1)
    theirs.close()
    greeting = ours.recv(MAX_TROUBLE_BYTES)
    if greeting != READY:
        raise ImportError(greeting.decode() or "The heavy server has died.")
    return ours


def _load_heavy() -> str:
    """What is wrong with its libraries; nothing when they are there."""
    try:
        importlib.import_module("adapters.decode_documents")
        importlib.import_module("adapters.decode_poster")
        importlib.import_module("adapters.decode_video").warm()
    except Exception as error:  # noqa: BLE001 - the parent is to tell, whatever it is
        return f"{type(error).__name__}: {error}"
    gc.freeze()
    return ""


def _load() -> Work:
    # Here, since a failing import is told to the parent.
    from adapters import decode_loaders, decode_pictures  # noqa: PLC0415

    decode_pictures.warm()
    decode_jail.prepare()
    os.chdir("/")
    gc.freeze()
    decode_memory.make_room()

    def work(body: mmap | bytes, question: Question) -> tuple[msgspec.Struct, Sequence[bytes]]:
        if question.order is not None:
            return decode_pictures.carry_out(body, question.order, question.limits)
        verdict, drawing = decode_loaders.prove(
            body[:], question.mime_type, question.limits, question.metadata
        )
        return verdict, [drawing]

    return work


def _serve(control: socket.socket, work: Work, heavy: socket.socket | None) -> bool:
    token, descriptors, _, _ = socket.recv_fds(control, 1, 2)
    if not token or len(descriptors) != 2:  # noqa: PLR2004 - the conversation and the file
        return False
    if token == HEAVY and heavy is not None:
        socket.send_fds(heavy, [token], descriptors)
        _close(descriptors)
        status = heavy.recv(STATUS_BYTES, socket.MSG_WAITALL)
    else:
        status = _child_s_end(descriptors, work)
    control.sendall(status)
    # Without its heavy server this one is of no use.
    return len(status) == STATUS_BYTES


def _child_s_end(descriptors: list[int], work: Work) -> bytes:
    """Have a child answer, and wait for its end."""
    server = os.getpid()
    child = os.fork()
    if child == 0:
        status = CHILD_BUG
        try:
            os.dup2(descriptors[0], 0)
            os.dup2(descriptors[1], FILE)
            os.closerange(FILE + 1, 256)
            _answer(server, work)
            status = 0
        finally:
            os._exit(status)
    _close(descriptors)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    return code.to_bytes(STATUS_BYTES, "big", signed=True)


def _close(descriptors: list[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def _answer(server: int, work: Work) -> None:
    signal.signal(signal.SIGXCPU, signal.SIG_DFL)
    length = int.from_bytes(_read(FRAME_LENGTH_BYTES), "big")
    question = QUESTIONS.decode(_read(min(length, MAX_QUESTION_BYTES)))
    decode_jail.go_first()
    decode_jail.limit(question.limits)
    decode_jail.lock(server)
    made: Sequence[bytes] = ()
    kind = Verdict if question.order is None else Report
    answer: msgspec.Struct
    try:
        answer, made = work(_file(question.size), question)
    except Refusal as refusal:
        answer = kind(reason=refusal.reason, detail=refusal.detail)
    except MemoryError:
        answer = kind(reason="memory", detail="Decoding needs more memory than is allowed.")
    for part in (frame(answer), *made):
        left = memoryview(part)
        while left:
            left = left[os.write(0, left) :]


def _file(size: int) -> mmap | bytes:
    """The file as it lies in the kernel's cache; a read would copy it, page fault by page fault."""
    if os.fstat(FILE).st_size != size:
        os._exit(CHILD_BUG)
    return mmap(FILE, size, access=ACCESS_READ) if size else b""


def _read(size: int) -> bytes:
    """So many bytes from the parent; read and write, since the jail knows no send."""
    parts = bytearray(size)
    view = memoryview(parts)
    while view:
        count = os.readv(0, [view])
        if count == 0:
            os._exit(CHILD_BUG)
        view = view[count:]
    return bytes(parts)


if __name__ == "__main__":
    main()
