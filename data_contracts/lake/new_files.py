"""Creation of a local file that is not there yet: whole, and by one of several writers at most.

A hard link does it. exFAT and some network mounts have none; there a rename that replaces nothing does.
"""

import ctypes
import errno
import os
from pathlib import Path

from data_contracts.errors import LakeError

_NO_LINKS = {errno.EPERM, errno.EACCES, errno.EMLINK, errno.ENOSYS, errno.EOPNOTSUPP}
_AT_FDCWD, _RENAME_NOREPLACE = -100, 1  # Linux' fcntl.h and fs.h


def move_new(draft: Path, target: Path) -> bool:
    """Give the draft's content the name `target` too; False where that took a rename, for want of hard links.

    Raises FileExistsError where the name is taken, and LakeError where the file system does neither.
    """
    try:
        target.hardlink_to(draft)  # fsspec checks and then writes: two may pass the check
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
    else:
        return True
    _rename_new(draft, target)
    return False


def _rename_new(draft: Path, target: Path) -> None:
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)  # glibc 2.28; not on macOS
    code = errno.ENOSYS
    if rename is not None:
        names = os.fsencode(draft), os.fsencode(target)
        code = ctypes.get_errno() if rename(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_NOREPLACE) else 0
    if code in {errno.EINVAL, errno.ENOSYS, errno.EPERM}:
        raise LakeError(
            f"creating {target}: expected a file system where one of those who create a file succeeds; found one "
            "without hard links, and without renames that replace nothing; put the lake on a local disk, or give the "
            "URL of the store that is mounted (s3://, gs://, az://)"
        )
    if code:
        raise OSError(code, os.strerror(code), str(target))
