"""libnftables, by ctypes: commands in nft's own language, to the kernel of the calling thread's namespace."""

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from isthmus.core.errors import KernelRefusedError

_ONE_AT_A_TIME = threading.Lock()  # libnftables keeps state of its process


@contextmanager
def applied(commands: str, what: str) -> Iterator[str]:
    """Run commands and give what they print; a table that they own lives until the block ends.

    Raises:
        KernelRefusedError: nft would not have them; the text begins with `what`.
    """
    with _ONE_AT_A_TIME:
        nft = _library()
        context = ctypes.c_void_p(nft.nft_ctx_new(0))
        try:
            nft.nft_ctx_buffer_error(context)
            nft.nft_ctx_buffer_output(context)
            if nft.nft_run_cmd_from_buffer(context, commands.encode()):
                errno = ctypes.get_errno()
                reason = nft.nft_ctx_get_error_buffer(context).decode(errors="replace")
                raise KernelRefusedError(errno, f"{what}: {reason.partition(chr(10))[0]}")
            yield nft.nft_ctx_get_output_buffer(context).decode(errors="replace")
        finally:
            nft.nft_ctx_free(context)


def _library() -> ctypes.CDLL:
    nft = ctypes.CDLL("libnftables.so.1", use_errno=True)
    nft.nft_ctx_new.restype = ctypes.c_void_p
    nft.nft_ctx_get_error_buffer.restype = ctypes.c_char_p
    nft.nft_ctx_get_output_buffer.restype = ctypes.c_char_p
    return nft
