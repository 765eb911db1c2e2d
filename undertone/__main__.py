"""Entry point of `python -m undertone`, the same as the command `undertone`."""

from flows.__main__ import run

if __name__ == "__main__":
    run()
