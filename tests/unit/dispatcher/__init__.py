"""Tests of the dispatcher's modules."""
