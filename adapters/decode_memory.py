"""Has a forked child begin with fresh memory in large pages. glibc only; server side."""

import ctypes
import sys
from typing import Any

PAGE_BYTES = 4096
LARGE_PAGE_BYTES = 2 << 20
OWN_BYTES = 64 << 10
"""Left to the server, so that it does not touch the page that its children begin with."""
HOLE_BYTES = 4 << 10
"""What was freed in such pieces is not used again."""


def make_room() -> None:
    """Give back what was freed, and end the heap where a large page can begin.

    Else a child allocates what the server has used and freed, and the kernel copies that garbage
    for it page by page: 340 of the 1,100 page faults of a thumbnail.
    """
    if sys.platform != "linux":
        return
    libc: Any = ctypes.CDLL(None)
    if not hasattr(libc, "malloc_trim"):
        return
    libc.malloc.restype = libc.sbrk.restype = ctypes.c_void_p
    libc.malloc.argtypes = [ctypes.c_size_t]
    libc.free.argtypes = [ctypes.c_void_p]
    libc.sbrk.argtypes = [ctypes.c_ssize_t]
    own = libc.malloc(OWN_BYTES)
    libc.malloc_trim(0)
    end = libc.sbrk(0)
    while libc.sbrk(0) == end:
        last = libc.malloc(HOLE_BYTES)
    to_large_page = -(last + HOLE_BYTES + PAGE_BYTES) % LARGE_PAGE_BYTES
    libc.malloc(to_large_page)
    libc.free(own)
