"""Measurements on real processes; nothing here is asserted in the test suite."""
