"""The `undertone` command, a module a group of commands."""
