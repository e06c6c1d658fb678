"""Acts within another network namespace, from threads that end with the act."""

import ctypes
import fcntl
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from errno import ENOTTY
from pathlib import Path
from typing import TypeVar

Identity = tuple[int, int]  # device and inode

_T = TypeVar("_T")

_CLONE_NEWNET = 0x40000000
_NS_GET_NSTYPE = 0xB703  # linux/nsfs.h
_NOTHING_THERE = (FileNotFoundError, NotADirectoryError, ProcessLookupError)

_libc = ctypes.CDLL(None, use_errno=True)  # Python has os.setns from 3.12 on


def in_netns(path: Path, act: Callable[[], _T]) -> _T:
    """Return what `act` returns within the network namespace at `path`; blocks until then.

    Sockets made there stay there, and may be used by any thread afterwards. The thread is a fresh one and ends:
    a pooled one would take its namespace into its next task.

    Raises:
        OSError: the path is not a network namespace, or may not be entered; and whatever `act` raises.
    """
    done: Future[_T] = Future()
    thread = threading.Thread(target=_act_within, args=(path, act, done), name="in-netns")
    thread.start()
    thread.join()
    return done.result()


def _act_within(path: Path, act: Callable[[], _T], done: Future[_T]) -> None:
    try:
        _enter(path)
        done.set_result(act())
    except BaseException as error:
        done.set_exception(error)


def _enter(path: Path) -> None:
    netns = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if _libc.setns(netns, _CLONE_NEWNET):
            errno = ctypes.get_errno()
            raise OSError(errno, os.strerror(errno), str(path))
    finally:
        os.close(netns)


def netns_identity(path: Path) -> Identity | None:
    """Which namespace a path leads to; None while it leads to none.

    An engine makes a plain file first, and mounts the namespace on it later.

    Raises:
        OSError: it cannot be told; too many open files, say.
    """
    try:
        netns = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except _NOTHING_THERE:
        return None
    try:
        status = os.fstat(netns)
        is_netns = fcntl.ioctl(netns, _NS_GET_NSTYPE) == _CLONE_NEWNET
    except OSError as error:
        if error.errno != ENOTTY:
            raise
        is_netns = False
    finally:
        os.close(netns)
    return (status.st_dev, status.st_ino) if is_netns else None


def leads_to(path: Path, identity: Identity) -> bool:
    """Whether a path still leads to that namespace; opens nothing."""
    try:
        status = path.stat()
    except _NOTHING_THERE:
        return False
    return (status.st_dev, status.st_ino) == identity
