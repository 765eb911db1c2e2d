"""Contracts of all layers above: records, schemas, the lake's layout, expectation suites, the error tree."""
