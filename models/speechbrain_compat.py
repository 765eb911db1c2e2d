"""Importing speechbrain without harm: before, a stand-in for torchaudio's compiled part; after, its traps taken away.

speechbrain imports torchaudio, whose wheel is a CUDA build and fails on a CPU-only torch (`libc10_cuda.so: cannot
open`), though what the networks need of it is plain Python. And it leaves lazy modules in `sys.modules` that try to
import k2 and others at the first look: whoever walks through the modules (inspect, hypothesis, MLflow) would meet them.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, NoReturn

import torch

_EXTENSION = "torchaudio._extension"


@contextmanager
def speechbrain_importable() -> Iterator[None]:
    """`import speechbrain…` works inside; harmless to enter again."""
    _stand_in_for_torchaudio()
    yield
    from speechbrain.utils.importutils import LazyModule

    for name, module in sys.modules.copy().items():  # a copy in one piece: other threads import meanwhile
        if issubclass(type(module), LazyModule):  # isinstance would already look too closely
            del sys.modules[name]


def _stand_in_for_torchaudio() -> None:
    """Nothing is replaced where torch has CUDA, or torchaudio is already imported."""
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
