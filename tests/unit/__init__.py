"""Tests of one module each, mirroring the tree."""
