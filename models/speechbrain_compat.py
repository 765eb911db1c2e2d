"""Safe import of speechbrain: a stub for torchaudio's compiled part before it, its lazy modules removed after it.

speechbrain imports torchaudio, whose wheel is a CUDA build and fails on a CPU-only torch (`libc10_cuda.so: cannot
open`), though the networks only need its plain Python. It also leaves lazy modules in `sys.modules` that import k2 and
others at the first access: code that walks through the modules (inspect, hypothesis, MLflow) would trigger them.
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
    """Make `import speechbrain…` work inside the block; it may be entered again."""
    _stub_torchaudio()
    yield
    from speechbrain.utils.importutils import LazyModule

    for name, module in sys.modules.copy().items():  # a copy in one piece: other threads import meanwhile
        if issubclass(type(module), LazyModule):  # isinstance would already access it
            del sys.modules[name]


def _stub_torchaudio() -> None:
    """Install the stub, unless torch has CUDA or torchaudio is already imported."""
    if torch.version.cuda is not None or "torchaudio" in sys.modules or _EXTENSION in sys.modules:
        return
    stub: Any = ModuleType(_EXTENSION)
    stub._IS_TORCHAUDIO_EXT_AVAILABLE = False
    stub._IS_ALIGN_AVAILABLE = False
    stub._check_cuda_version = lambda: None
    stub.fail_if_no_align = _no_aligner
    sys.modules[_EXTENSION] = stub


def _no_aligner(_aligner: Callable[..., Any]) -> Callable[..., NoReturn]:
    """Replace torchaudio's decorator of functions that need the compiled aligner."""

    def unavailable(*_: Any, **__: Any) -> NoReturn:
        raise RuntimeError("torchaudio's forced aligner needs its compiled part, which a CPU-only torch cannot load")

    return unavailable
