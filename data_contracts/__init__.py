"""What everything above agrees on: records, schemas, the lake's layout, expectation suites, the error tree."""
