"""`python -m flows` is `undertone`."""

from flows.cli import main

if __name__ == "__main__":
    main()
