"""One run: its context, ledger, heartbeat and clock."""
