"""The errors that Undertone raises on purpose, one small tree.

    UndertoneError
    ├── UsageError             wrong settings or arguments                         exit 2
    ├── ValidationStopped      a critical expectation failed, nothing published    exit 3
    ├── CorpusError            the corpus cannot be listed or read                 exit 1
    ├── LakeError              the lake cannot be read or written                  exit 1
    │   ├── PublishConflict    another run published first: stage again
    │   └── DamagedFile        a file of the lake is gone, or is not what was written
    ├── CredentialsError       a store does not take the credentials (any more)    exit 1
    ├── ComputeError           workers died again and again, or their scheduler    exit 1
    ├── ModelError             no such model, or one that does not fit             exit 1
    └── TransientError         the network or a server hiccuped: the only one retried

A file that cannot be used is no error: it is a `Reject` with a reason (`data_contracts.rejects`).
Every message says what was expected, what was found, where, and what to do.
"""


class UndertoneError(Exception):
    """The root: `exit_code` is what the command returns."""

    exit_code = 1


class UsageError(UndertoneError):
    """Settings or arguments that cannot work."""

    exit_code = 2


class ValidationStopped(UndertoneError):  # noqa: N818 - it names what happened; the audit did its work
    """A critical expectation failed; the analytics tables are as they were."""

    exit_code = 3


class CorpusError(UndertoneError):
    """The corpus or a manifest cannot be listed or read."""


class LakeError(UndertoneError):
    """The lake cannot be read or written."""


class PublishConflict(LakeError):  # noqa: N818
    """Another run published after this run had read the tables and before it published."""


class DamagedFile(LakeError):  # noqa: N818 - it names what was found
    """A file that the lake should hold is gone, cut, or another's."""


class CredentialsError(UndertoneError):
    """A store refuses the credentials: unknown, expired, or outside its clock. No file is at fault."""


class ComputeError(UndertoneError):
    """Workers died again and again over the same shard, or no worker is left to compute it."""


class ModelError(UndertoneError):
    """A model is missing, or does not fit the features it is given."""


class TransientError(UndertoneError):
    """A failure that a retry may mend: time-outs, resets, throttling."""
