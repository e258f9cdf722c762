"""The main job on real input: orders in, verified callbacks out, replay, reconcile."""
