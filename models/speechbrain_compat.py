"""speechbrain imports torchaudio, whose wheel is a CUDA build: a stand-in for its compiled part where there is none.

torchaudio 2.11 fails at import on a CPU-only torch (`libc10_cuda.so: cannot open`), though what speechbrain's networks
need of it is plain Python. Nothing is replaced once torchaudio, or its own extension, has been imported.
"""

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, NoReturn

import torch

_EXTENSION = "torchaudio._extension"


def prepare() -> None:
    """Makes `import speechbrain` possible; harmless to call again, and a no-op where torch was built with CUDA."""
    if torch.version.cuda is not None or "torchaudio" in sys.modules or _EXTENSION in sys.modules:
        return
    stand_in: Any = ModuleType(_EXTENSION)
    stand_in._IS_TORCHAUDIO_EXT_AVAILABLE = False
    stand_in._IS_ALIGN_AVAILABLE = False
    stand_in._check_cuda_version = lambda: None
    stand_in.fail_if_no_align = _no_aligner
    sys.modules[_EXTENSION] = stand_in


def _no_aligner(_aligner: Callable[..., Any]) -> Callable[..., NoReturn]:
    """Stands in for torchaudio's decorator around what needs the compiled aligner."""

    def unavailable(*_: Any, **__: Any) -> NoReturn:
        raise RuntimeError("torchaudio's forced aligner needs its compiled part, which a CPU-only torch cannot load")

    return unavailable
