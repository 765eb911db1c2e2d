"""Functions that run on a worker, never on the driver."""
