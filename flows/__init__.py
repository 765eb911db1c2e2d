"""Prefect flows over the eight stages, their settings and workers, and the `undertone` command.

The environment is prepared wherever these flows are imported. It is changed here and at the start of the command only:
once Polars has read from S3, its threads read the environment, and a later `setenv` would move it under them.
"""

import os

from flows import environment

environment.prepare(os.environ)
