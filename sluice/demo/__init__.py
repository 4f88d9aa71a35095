"""`sluice demo`: the main job on real input, with a verdict."""
