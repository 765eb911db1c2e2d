"""`python -m undertone` is `undertone`."""

from flows.__main__ import run

if __name__ == "__main__":
    run()
