"""The shapes that the demo model knows: drawing them and writing the demo datasets."""
