"""The Playground: talk to models side by side, or vote blind."""
