"""Expectation suites that a staged table must satisfy; the only room that knows Great Expectations."""
