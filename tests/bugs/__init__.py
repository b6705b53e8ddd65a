"""Tests of the tests: bugs that are put in on purpose, and which tests notice."""
