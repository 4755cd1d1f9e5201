"""Helpers of the tests; `tests/README.md` says what each is for."""
