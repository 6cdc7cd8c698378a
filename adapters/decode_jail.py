"""Takes from the process that decodes one file what decoding does not need. Linux; child side only.

Kernel limits hold everywhere; identity, no-new-privileges and the system call filter on Linux.
"""

import contextlib
import ctypes
import errno
import os
import platform
import resource
import signal
import struct
import sys
from collections.abc import Callable, Iterable
from functools import cache

from adapters.decode_verdict import DecodeLimits

NOBODY = 65534
OPEN_FILES = 16
ADDRESS_SPACE_HEADROOM = 1024 * 1024 * 1024
"""Mapped libraries, thread stacks and malloc's reserve beside the heap: 0.3 to 0.7 GiB measured."""

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_NAME = 15
PR_SET_SECCOMP = 22
PR_SET_NO_NEW_PRIVS = 38
SECCOMP_MODE_FILTER = 2

LOAD, JUMP_EQUAL, JUMP_NOT_BELOW, JUMP_BITS, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
ALLOW = 0x7FFF0000
KILL_PROCESS = 0x80000000
REFUSE = 0x00050000
INSTRUCTION_BYTES = 8
OFFSET_NUMBER, OFFSET_ARCHITECTURE, OFFSET_FIRST_ARGUMENT = 0, 4, 16
CLONE_THREAD = 0x00010000
X32_BIT = 0x40000000

ARCHITECTURES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}
CLONE = (56, 220)
CLONE3 = 435
FORBIDDEN = {
    "open": (2, None), "openat": (257, 56), "openat2": (437, 437), "creat": (85, None),
    "socket": (41, 198), "socketpair": (53, 199), "connect": (42, 203), "bind": (49, 200),
    "listen": (50, 201), "accept": (43, 202), "accept4": (288, 242), "sendto": (44, 206),
    "sendmsg": (46, 211), "sendmmsg": (307, 269), "fork": (57, None), "vfork": (58, None),
    "execve": (59, 221), "execveat": (322, 281), "ptrace": (101, 117), "kill": (62, 129),
    "tkill": (200, 130), "rt_sigqueueinfo": (129, 138), "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271), "pidfd_open": (434, 434), "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424), "setsid": (112, 157), "setpgid": (109, 154),
    "unlink": (87, None), "unlinkat": (263, 35), "rename": (82, None), "renameat": (264, 38),
    "renameat2": (316, 276), "mkdir": (83, None), "mkdirat": (258, 34), "rmdir": (84, None),
    "link": (86, None), "linkat": (265, 37), "symlink": (88, None), "symlinkat": (266, 36),
    "mknod": (133, None), "mknodat": (259, 33), "truncate": (76, 45), "chmod": (90, None),
    "fchmodat": (268, 53), "chown": (92, None), "fchownat": (260, 54), "chdir": (80, 49),
    "chroot": (161, 51), "mount": (165, 40), "umount2": (166, 39), "unshare": (272, 97),
    "setns": (308, 268), "bpf": (321, 280), "perf_event_open": (298, 241),
    "userfaultfd": (323, 282), "io_uring_setup": (425, 425), "keyctl": (250, 219),
    "add_key": (248, 217), "request_key": (249, 218), "memfd_create": (319, 279),
    "shmget": (29, 194), "msgget": (68, 186), "semget": (64, 190), "setuid": (105, 146),
    "setgid": (106, 144), "prctl": (157, 167),
}  # fmt: skip
"""System calls a decoder has no use for, by their numbers on x86-64 and on 64-bit ARM."""


def go_first() -> None:
    """Have the kernel end this process, not one of ours, when the machine runs out of memory."""
    with contextlib.suppress(OSError):
        adjustment = os.open("/proc/self/oom_score_adj", os.O_WRONLY)
        os.write(adjustment, b"1000")
        os.close(adjustment)


def limit(limits: DecodeLimits) -> None:
    """Bound memory, CPU, files and core dumps of this process, for good."""
    wanted = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_NOFILE: OPEN_FILES,
        resource.RLIMIT_DATA: limits.memory_bytes,
        resource.RLIMIT_AS: limits.memory_bytes + ADDRESS_SPACE_HEADROOM,
    }
    for kind, most in wanted.items():
        if sys.platform == "darwin" and kind in (resource.RLIMIT_AS, resource.RLIMIT_DATA):
            continue
        resource.setrlimit(kind, (most, most))
    # The hard limit kills without a name; the soft one says SIGXCPU first.
    resource.setrlimit(resource.RLIMIT_CPU, (limits.cpu_seconds, limits.cpu_seconds + 1))


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when `parent` ends; Linux only."""
    if sys.platform != "linux":
        return
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


def be_called(name: str) -> None:
    """What this process is called in lists of processes; Linux only."""
    if sys.platform == "linux":
        _prctl(PR_SET_NAME, ctypes.c_char_p(name.encode()))


def lock(parent: int) -> None:
    """Give up root, new privileges, files, network and other processes; Linux only."""
    if sys.platform != "linux":
        return
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    # Behind setuid, which clears it.
    die_with_parent(parent)
    _prctl(PR_SET_DUMPABLE, 0)
    _prctl(PR_SET_NO_NEW_PRIVS, 1)
    program = _program(platform.machine())
    if program:
        _install(program)


def prepare() -> None:
    """Have ready what every child needs; before the fork, for all of them."""
    _program(platform.machine())
    if sys.platform == "linux":
        _function()


@cache
def _program(machine: str) -> bytes:
    """The filter as the kernel takes it; empty where there is none."""
    return b"".join(struct.pack("=HBBI", *one) for one in _filter(machine) or ())


def _filter(machine: str) -> list[tuple[int, int, int, int]] | None:
    """The filter for this processor as (code, jump if true, jump if false, operand)."""
    if machine not in ARCHITECTURES:
        return None
    architecture, column = ARCHITECTURES[machine]
    numbers = [pair[column] for pair in FORBIDDEN.values()]
    return [
        (LOAD, 0, 0, OFFSET_ARCHITECTURE),
        (JUMP_EQUAL, 1, 0, architecture),
        (RETURN, 0, 0, KILL_PROCESS),
        (LOAD, 0, 0, OFFSET_NUMBER),
        *_refused(JUMP_NOT_BELOW, [X32_BIT], errno.EPERM),
        *_refused(JUMP_EQUAL, (number for number in numbers if number is not None), errno.EPERM),
        # The flags of clone3 are out of a filter's reach; glibc falls back to clone on ENOSYS.
        *_refused(JUMP_EQUAL, [CLONE3], errno.ENOSYS),
        (JUMP_EQUAL, 0, 3, CLONE[column]),
        (LOAD, 0, 0, OFFSET_FIRST_ARGUMENT),
        (JUMP_BITS, 1, 0, CLONE_THREAD),
        (RETURN, 0, 0, REFUSE | errno.EPERM),
        (RETURN, 0, 0, ALLOW),
    ]


def _refused(code: int, operands: Iterable[int], error: int) -> list[tuple[int, int, int, int]]:
    return [
        instruction
        for operand in operands
        for instruction in ((code, 0, 1, operand), (RETURN, 0, 0, REFUSE | error))
    ]


@cache
def _function() -> Callable[..., int]:
    function: Callable[..., int] = ctypes.CDLL(None, use_errno=True).prctl
    return function


def _install(program: bytes) -> None:
    held = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("@HP", len(program) // INSTRUCTION_BYTES, ctypes.addressof(held))
    _prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.create_string_buffer(header, len(header)))


def _prctl(option: int, *arguments: object) -> None:
    padded = [
        ctypes.c_ulong(argument) if isinstance(argument, int) else argument
        for argument in (*arguments, 0, 0, 0, 0)[:4]
    ]
    if _function()(option, *padded) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"prctl {option}: {os.strerror(code)}")
