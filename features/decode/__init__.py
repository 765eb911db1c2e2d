"""Decoding of bytes to windows of 16 kHz, in a child process."""
